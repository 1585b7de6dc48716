package popup

import (
	"fmt"
	"image"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

var online = chat.Status{Connection: chat.Online, Name: "me"}

func sample() childSetup {
	now := time.Now()
	yesterday := now.Add(-24 * time.Hour)
	return childSetup{
		First:    "Ann",
		Language: "en",
		Status:   online,
		Roster: []chat.Person{
			{Name: "Ann", Online: true},
			{Name: "Bob", Online: true},
			{Name: "Cy"},
			{Name: "me", Online: true},
			{Name: "王小明", Online: true, Unread: 3},
		},
		History: []chat.Message{
			{ID: 1, Peer: "Ann", Sender: "Ann", Text: "Are you coming to the meeting?", At: yesterday, State: chat.Received},
			{ID: 2, Peer: "Ann", Sender: "me", Text: "Yes, in ten minutes: https://rooms.example/4?floor=2&x=1.", At: yesterday, State: chat.Sent},
			{ID: 3, Peer: "Ann", Sender: "Ann", Text: "The draft is on the share, in <b>plans</b> & more. 你好，世界 👋🎉", At: now, State: chat.Received, Unread: true},
		},
	}
}

func TestTypeAndSend(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	p := startPopup(t, d, sample())
	p.typeable()
	p.want(report{Call: "read", Peer: "Ann"})
	window := activeWindow(d, "Ann – Earshot")
	d.Type("first")
	d.Key("shift+Return")
	d.Type("second")
	shot(t, d, window, "typing")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "first\nsecond"})
	d.Key("Return")
	d.Type("third")
	d.Key("KP_Enter")
	p.want(report{Call: "send", Peer: "Ann", Text: "third"})
	shot(t, d, window, "conversation")
	resident, own := p.memory()
	t.Logf("memory: %d kB resident, %d kB of its own", resident, own)
	d.Key("Escape")
	p.wantExit()
}

// The toolkit's own choice of emoji is at hand by keyboard, too.
func TestEmoji(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	p := startPopup(t, d, sample())
	p.typeable()
	p.want(report{Call: "read", Peer: "Ann"})
	window := activeWindow(d, "Ann – Earshot")
	d.Type("well ")
	d.Key("Tab", "space")
	shot(t, d, window, "emoji")
	d.Key("Tab", "Return")
	d.Key("Return")
	// Which of them is the toolkit's business: it depends on where its list is
	// scrolled to by then.
	got := <-p.reports
	text, ok := strings.CutPrefix(got.Text, "well ")
	if chosen, _ := utf8.DecodeRuneInString(text); got.Call != "send" || !ok || !unicode.Is(unicode.So, chosen) {
		t.Errorf("the engine was called by %+v", got)
	}
	d.Key("Escape")
	p.wantExit()
}

func TestOpenRaisesAndTheLastWindowEndsTheProcess(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	p := startPopup(t, d, sample())
	p.typeable()
	p.want(report{Call: "read", Peer: "Ann"})
	ann := activeWindow(d, "Ann – Earshot")
	p.order(order{Event: &chat.Event{Type: chat.EventOpen, Peer: "Bob"}})
	activeWindow(d, "Bob – Earshot")
	p.order(order{Event: &chat.Event{Type: chat.EventOpen, Peer: "ann"}})
	if again := activeWindow(d, "Ann – Earshot"); again != ann {
		t.Errorf("a second window for Ann: %s beside %s", again, ann)
	}
	d.Type("raised")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "raised"})
	d.Key("Escape")
	activeWindow(d, "Bob – Earshot")
	if left := d.Windows(" – Earshot"); len(left) != 1 {
		t.Errorf("windows %q are left, want one", left)
	}
	d.Key("Escape")
	p.wantExit()
}

func TestFindByTyping(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	setup := sample()
	setup.First = ""
	p := startPopup(t, d, setup)
	p.typeable()
	window := activeWindow(d, "Find people – Earshot")
	shot(t, d, window, "find")
	d.Type("b")
	shot(t, d, window, "find-b")
	d.Key("Return")
	window = activeWindow(d, "Bob – Earshot")
	shot(t, d, window, "empty")
	d.Type("found you")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "found you"})
	d.Key("Escape")
	p.wantExit()
}

// Two people are chosen by pinyin, comma and Control, and get one message.
func TestFindSeveral(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	setup := sample()
	setup.First = ""
	setup.Roster[0].Department, setup.Roster[1].Department = "Research", "Research"
	p := startPopup(t, d, setup)
	p.typeable()
	window := activeWindow(d, "Find people – Earshot")
	d.Type("wxm")
	shot(t, d, window, "find-pinyin")
	d.Type(",")
	d.Type("b")
	shot(t, d, window, "find-picked")
	d.Key("Return")
	window = activeWindow(d, "Bob, 王小明 – Earshot")
	shot(t, d, window, "several")
	d.Type("lunch?")
	d.Key("Return")
	p.want(report{Call: "send", Peer: chat.SeveralPeer([]string{"Bob", "王小明"}), Text: "lunch?"})
	d.Key("Escape")
	p.wantExit()
}

func TestTheEngineEnds(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	setup := sample()
	setup.First = "Bob"
	p := startPopup(t, d, setup)
	p.typeable()
	if err := p.orders.Close(); err != nil {
		t.Fatal(err)
	}
	p.wantExit()
}

func TestChineseInput(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{Chinese: true})
	setup := sample()
	setup.First, setup.Language = "Bob", "zh-Hans"
	p := startPopup(t, d, setup)
	p.typeable()
	window := activeWindow(d, "Bob – Earshot")
	choosePinyin(d)
	d.Type("nihao")
	shot(t, d, window, "preedit")
	// This Enter ends the composition and sends nothing: what is typed next
	// is part of the same message.
	d.Key("Return")
	d.Type("nihao")
	d.Key("space")
	shot(t, d, window, "composed")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "nihao你好"})
	d.Type("nihao")
	d.Key("space", "Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "你好"})
	d.Key("Escape")
	p.wantExit()
}

// An Enter that ends a composition opens nobody's window, and what is composed
// finds whom it names.
func TestChineseFind(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{Chinese: true})
	setup := sample()
	setup.First, setup.Language = "", "zh-Hans"
	p := startPopup(t, d, setup)
	p.typeable()
	window := activeWindow(d, "查找联系人 – Earshot")
	choosePinyin(d)
	d.Type("bob")
	shot(t, d, window, "find-preedit")
	d.Key("Return") // takes what was typed as it is; it would open who is selected, 王小明
	d.Key("Return")
	activeWindow(d, "Bob – Earshot")
	d.Key("Escape")
	p.wantExit()
}

// choosePinyin switches the input method to Chinese. What counts is the engine
// that ibus then names: the command that sets it may fail and yet have set it.
func choosePinyin(d *desktoptest.Desktop) {
	ibus := func(args ...string) string {
		cmd := exec.Command("ibus", args...)
		cmd.Env = d.Env()
		out, _ := cmd.Output()
		return strings.TrimSpace(string(out))
	}
	d.Await("the pinyin engine", func() bool {
		ibus("engine", "libpinyin")
		return ibus("engine") == "libpinyin"
	})
}

const longText = "The meeting moves to Thursday, because the room is taken on Wednesday and nobody found another one. " +
	"Here is the address again: https://intranet.example/rooms/third-floor/east/averyveryverylongpathwithoutanybreakatallinit?week=12 " +
	"Please tell the others.\n\nAgenda:\n  1. Budget\n  2. Holidays"

// TestLooks keeps pictures of the states that a person meets, for a person to
// look at, and checks that each comes up with its texts unharmed.
func TestLooks(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	large := openDesktop(t, desktoptest.Options{Screen: "2560x1600"})
	long := sample()
	now := time.Now()
	long.History = append(long.History,
		chat.Message{ID: 4, Peer: "Ann", Sender: "Ann", Text: longText, At: now, State: chat.Received, Doubtful: true},
		chat.Message{ID: 5, Peer: "Ann", Sender: "me", Text: "Will do!", At: now, State: chat.Sent},
		chat.Message{
			ID: 6, Peer: "Ann", Sender: "me", Text: "And who brings the projector?", At: now, State: chat.Failed,
			Problem: "Ann's computer did not accept the message. Ask Ann to check that Earshot is running.",
		},
	)
	chinese := sample()
	chinese.Language, chinese.First = "zh-Hans", "王小明"
	chinese.Roster[4] = chat.Person{Name: "王小明"}
	chinese.History = []chat.Message{
		{ID: 1, Peer: "王小明", Sender: "王小明", Text: "明天下午三点在三楼会议室开会，请带上上周的报告和预算表，另外记得通知其他同事，谢谢！", At: now, State: chat.Received},
		{ID: 2, Peer: "王小明", Sender: "me", Text: "好的，我会通知大家 👍", At: now, State: chat.Sent},
		{ID: 3, Peer: "王小明", Sender: "me", Text: "报告已经放在共享盘了。", At: now, State: chat.Sending},
	}
	everyone := sample()
	everyone.First = chat.Everyone
	everyone.History = []chat.Message{
		{ID: 1, Peer: chat.Everyone, Sender: "Ann", Text: "Cake in the kitchen!", At: now, State: chat.Received},
		{ID: 2, Peer: chat.Everyone, Sender: "Bob", Text: "On my way", At: now, State: chat.Received},
		{ID: 3, Peer: chat.Everyone, Sender: "me", Text: "Me too 🎂", At: now, State: chat.Sent},
	}
	trust := secureSample()
	trust.Language = "zh-Hans"
	trust.History[7].Unread = true
	secure := secureSample()
	secure.Roster[0].Trust = chat.TrustPinned
	secure.History[7].Unread = true
	several := sample()
	names := []string{"Ann", "Bob", "Cy", "王小明", "李雷", "韩梅梅", "Christopher Montgomery", "Alexandra Featherstonehaugh", "Jo"}
	several.First = chat.SeveralPeer(names)
	names, _ = chat.SeveralOf(several.First) // as they are spelt there
	zhFind := sample()
	zhFind.First, zhFind.Language = "", "zh-Hans"
	lost := sample()
	lost.Status.Connection = chat.Offline
	find := sample()
	find.First = ""
	nobody := childSetup{Language: "en", Status: online}
	for name, look := range map[string]struct {
		setup childSetup
		title string
		scale int
	}{
		"long":         {long, "Ann – Earshot", 1},
		"chinese":      {chinese, "王小明 – Earshot", 1},
		"everyone":     {everyone, "Everyone – Earshot", 1},
		"trust":        {trust, "Ann – Earshot", 1},
		"lost":         {lost, "Ann – Earshot", 1},
		"people":       {find, "Find people – Earshot", 1},
		"nobody":       {nobody, "Find people – Earshot", 1},
		"long-2x":      {long, "Ann – Earshot", 2},
		"trust-2x":     {trust, "Ann – Earshot", 2},
		"chinese-2x":   {chinese, "王小明 – Earshot", 2},
		"people-2x":    {find, "Find people – Earshot", 2},
		"people-zh":    {zhFind, "查找联系人 – Earshot", 1},
		"people-zh-2x": {zhFind, "查找联系人 – Earshot", 2},
		"secure":       {secure, "Ann – Earshot", 1},
		"several":      {several, strings.Join(names, ", ") + " – Earshot", 1},
	} {
		for _, theme := range []string{"Adwaita", "Adwaita:dark"} {
			t.Run(name+"/"+theme, func(t *testing.T) {
				d := d
				if look.scale == 2 {
					d = large
				}
				p := startPopup(t, d, look.setup, "GTK_THEME="+theme, fmt.Sprint("GDK_SCALE=", max(look.scale, 1)))
				p.typeable()
				window := activeWindow(d, look.title)
				if size := d.Geometry(window).Size(); look.scale == 2 && size != image.Pt(840, 1040) {
					t.Errorf("at 200 %% the window is %v", size)
				}
				if len(look.setup.History) > 0 && look.setup.First == "Ann" {
					p.want(report{Call: "read", Peer: "Ann"})
				}
				// The caret's blinking must not be what is compared, so the
				// picture is only kept.
				shot(t, d, window, "look-"+name+"-"+strings.TrimPrefix(theme, "Adwaita:"))
				d.Key("Escape")
				p.wantExit()
			})
		}
	}
}
