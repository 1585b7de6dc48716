package notify

import (
	"maps"
	"slices"
	"time"

	"earshot/tray/chat"
)

// maxKept is how many unread messages of one conversation are known one by one,
// so that they can be changed or taken back.
const maxKept = 100

// talk is what is unread of one conversation. Urgent messages have one of their
// own, so that nothing takes their place on the screen.
type talk struct {
	peer   string
	urgent bool
	unread int
	untold int    // of these, those that were on no note yet
	recent []line // the newest of them, oldest first
	due    time.Time
	shown  bool // there is a note on the screen
}

// line is one unread message, cut to what a note shows.
type line struct {
	id               int64
	sender, audience string
	text             string
	told             bool
}

func (t *talk) key() string {
	if t.urgent {
		return "urgent:" + t.peer
	}
	return "message:" + t.peer
}

func (t *talk) add(m *chat.Message) {
	t.unread++
	t.untold++
	if len(t.recent) == maxKept {
		t.recent = slices.Delete(t.recent, 0, 1)
	}
	t.recent = append(t.recent, line{
		id: m.ID, sender: m.Sender, audience: m.Audience, text: clean(m.Text, maxPreview),
	})
}

// tell notes that everything unread is known to the person by now.
func (t *talk) tell() {
	t.untold, t.due = 0, time.Time{}
	for i := range t.recent {
		t.recent[i].told = true
	}
}

// change takes what has become of a message: another text, or its end, because
// its sender took it back or the person has answered it. It says whether a note
// that shows the conversation would say something else now.
func (t *talk) change(m *chat.Message) (other bool) {
	i := slices.IndexFunc(t.recent, func(l line) bool { return l.id == m.ID })
	if i < 0 {
		return false
	}
	told := t.recent[i].told
	if m.Deleted || m.Urgent && m.Acknowledged {
		t.recent = slices.Delete(t.recent, i, i+1)
		t.unread--
		if !told {
			t.untold--
		}
		return told
	}
	text := clean(m.Text, maxPreview)
	other = text != t.recent[i].text && i == t.newest()
	t.recent[i].text = text
	return other
}

// newest is the last message that was told, -1 if none was.
func (t *talk) newest() int {
	for i, l := range slices.Backward(t.recent) {
		if l.told {
			return i
		}
	}
	return -1
}

// message is the note about a conversation: one message of it, and how many
// there are.
func (q *policy) message(t *talk, m line, count int) note {
	title := m.sender
	switch {
	case t.peer == chat.Everyone:
		title = q.p.T("NotifyToEveryone", "Name", m.sender)
	case m.audience != "":
		title = q.p.T("NotifyToAudience", "Name", m.sender, "Audience", m.audience)
	}
	if t.urgent {
		title = q.p.T("NotifyUrgent", "Name", title)
	}
	if count > 1 && t.peer != chat.Everyone {
		title = q.p.T("NotifyMessages", "Name", title, "Count", count)
	}
	body := m.text
	if !q.set.NotifyPreview {
		body = q.p.T("NotifyHidden")
	}
	return note{key: t.key(), title: clean(title, maxPreview), body: body, peer: t.peer, urgent: t.urgent, written: true}
}

// meanwhile tells of what came while the person was busy, and is still unread.
func (q *policy) meanwhile() (n note, ok bool) {
	var names []string
	count, peers := 0, make(map[string]bool)
	for _, t := range q.inOrder() {
		if t.urgent || t.untold == 0 {
			continue
		}
		count += t.untold
		peers[t.peer] = true
		for _, l := range t.recent {
			if !l.told && !slices.Contains(names, l.sender) {
				names = append(names, l.sender)
			}
		}
		t.tell()
	}
	if count == 0 || len(names) == 0 {
		return note{}, false
	}
	q.summary = peers
	n = note{key: keyMeanwhile, title: appName}
	switch others := len(names) - named; {
	case len(names) == 1:
		n.body = q.p.T("NotifyMeanwhileOne", "Count", count, "Name", names[0])
	case others == 0:
		n.body = q.p.T("NotifyMeanwhileTwo", "Count", count, "First", names[0], "Second", names[1])
	default:
		n.body = q.p.T("NotifyMeanwhileMany", "Count", count, "First", names[0], "Second", names[1], "Others", others)
	}
	if len(peers) == 1 {
		n.peer = slices.Collect(maps.Keys(peers))[0]
	}
	n.body = clean(n.body, maxPreview)
	return n, true
}
