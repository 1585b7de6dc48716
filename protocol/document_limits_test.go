package protocol_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limits are the phrases of the secure half of PROTOCOL.md that name a limit or
// a time, with braces round the number, and the constants of the code that it
// is, as folder.name, or the sum of some. A name with # is the default of a setting. Package
// protocol may not import those folders, so their source is read.
var limits = []struct {
	phrase    string
	constants []string
}{
	{"the port is {13277} if it is missing", []string{"protocol/identity.DefaultPort"}},
	{"TLS 1.3 on TCP {13277},", []string{"protocol/identity.DefaultPort"}},
	{"{5,200} times S =", []string{"protocol/identity.safetyRounds"}},
	{"A `ToCoordinator` has at most {16 KiB}, a `ToClient` {256 KiB}, a `ToPeer` {128 KiB}.",
		[]string{"protocol/wire.MaxToCoordinator", "protocol/wire.MaxToClient", "protocol/wire.MaxToPeer"}},
	{"is `Hello`, within {10 s} of the handshake", []string{"svc/control.helloTime"}},
	{"this page is {1} ", []string{"svc/control.version"}},
	{"up to {64 characters} |", []string{"svc/control.maxRunes"}},
	{"QUIC: at most {8},", []string{"svc/control.maxCandidates"}},
	{"after {0.5 s}, doubling to {30 s}, less", []string{"p2p/control.firstBackoff", "p2p/control.lastBackoff"}},
	{"once a login has held for {10 s}", []string{"p2p/control.heldLongEnough"}},
	{"looks again after {1 minute}", []string{"p2p/control.personRetry"}},
	{"an administrator has to agree | after {10 s} |", []string{"p2p/control.approvalRetry"}},
	{"| after 15 to {30 s} |", []string{"p2p/control.lastBackoff"}},
	{"its last {16,384} changes (or {8 MiB} of them)", []string{"svc/roster.MaxLog", "svc/roster.MaxLogBytes"}},
	{"`probe_key` is {32} random bytes", []string{"svc/control.probeKeySize"}},
	{"Each `keepalive_seconds` ({25 s})", []string{"svc/control.keepalive"}},
	{"Where more than {200} of them would come in a second", []string{"svc/control.maxPings"}},
	{"or four times, up to {3,200 s}:", []string{"svc/control.longestKeepalive"}},
	{"With {10} in a second ours does so already", []string{"svc/control.guardedPings"}},
	{"is missed within {1 minute} then", []string{"svc/control.vanishTime"}},
	{"any time from {1 s} to {60 minutes}, and pings each {100 s} at least", []string{"p2p/control.leastKeepalive", "p2p/control.mostKeepalive", "p2p/control.mostUnguarded"}},
	{"that gets no whole frame for {60 s}, and as much longer as the keepalive is, or whose client takes nothing for {30 s},",
		[]string{"svc/control.silentTime", "svc/control.writeTime"}},
	{"hears nothing for {25 s} beyond", []string{"p2p/control.answerTimeout"}},
	{"sends a `Ping` at once and waits for {1.2 s}", []string{"p2p/control.kickTimeout"}},
	{"a frame costs {10 ms}, a change of status or candidates {500 ms}, an introduction {100 ms}, a removal {1 s}, and {5 s} of that",
		[]string{"svc/control.costFrame", "svc/control.costChange", "svc/control.costIntroduce", "svc/control.costRemove", "svc/control.burst"}},
	{"it is good for {10 minutes}", []string{"p2p/secure.offerFor"}},
	{"Without an answer in {10 s},", []string{"svc/control.joinTime"}},
	{"then one each {12 s}.", []string{"svc/control.joinEvery"}},
	{"`text` (up to {280 bytes}), `display_name` and `department` (up to {64 characters} each)",
		[]string{"svc/control.maxStatusText", "svc/control.maxRunes"}},
	{"within {5 s}, and then frames", []string{"p2p/session.helloWithin"}},
	{"idle timeout is {10 s}, and something is sent every {4 s}", []string{"p2p/session.quietLimit", "p2p/session.probeEvery"}},
	{"if that takes longer than {30 ms}; the other one asks at once and dials after {300 ms}.",
		[]string{"p2p/session.introduceAfter", "p2p/session.secondDialler"}},
	{"asks again each {3 s}.", []string{"p2p/session.introduceAgain"}},
	{"If nothing works for {500 ms},", []string{"p2p/session.relayAfter"}},
	{"a probe key are good for {1 minute}.", []string{"p2p/session.rememberFor"}},
	{"up to {16}, {50 ms} apart and {4 s} each,",
		[]string{"p2p/session.maxAddresses", "p2p/session.stagger", "p2p/session.attemptWithin"}},
	{"given up after {10 s};", []string{"p2p/session.giveUp"}},
	{"made a connection within {2 s}", []string{"p2p/session.freshFor"}},
	{"closes the other one after {1 s}, the higher one after {10 s}", []string{"p2p/session.drainFor", "p2p/session.drainLong"}},
	{"no item goes for {45 s} is idle", []string{"p2p/session.idleAfter"}},
	{"heard for {800 ms} and four round trips ({2.5 s} at most),", []string{"p2p/session.patience", "p2p/session.mostPatience"}},
	{"after {1 s} without items under way within {15 s} of", []string{"p2p/session.quietFor", "p2p/session.activeFor"}},
	{"acknowledges nothing for {30 s} is", []string{"p2p/session.stuckAfter"}},
	{"`text`, up to {64 KiB};", []string{"p2p.MaxText"}},
	{"at most {64 items} or {1 MiB} of them unacknowledged", []string{"p2p/session.windowItems", "p2p/session.windowBytes"}},
	{"ours does at {16 items},", []string{"p2p/session.maxUnstored"}},
	{"a frame must come within {30 s}.", []string{"p2p/session.frameWithin"}},
	{"writing, for the next {6 s} unless", []string{"p2p.TypingFor"}},
	{"costs the coordinator one frame of {16 KiB} at most, and {20 s};",
		[]string{"protocol/wire.MaxToCoordinator", "svc/control.handshakeTime+svc/control.helloTime"}},
	{"beyond {256 frames} (", []string{"svc/control.maxQueue"}},
	{"when more than {32} handshakes", []string{"p2p/session.retryAbove"}},
	{"| people online | {10,000} |", []string{"svc/classic#MaxUsers"}},
	{"| {20,000}; {1,024} from one address, of which {256} before",
		[]string{"svc/control#MaxConnections", "svc/classic#MaxUsersPerAddress", "svc/control#MaxHandshakesPerAddress"}},
	{"| logins from one address | {100} a second", []string{"svc/classic#LoginsPerSecondPerAddress"}},
	{"for `Hello` | {10 s} each", []string{"svc/control.handshakeTime"}},
	{"a frame of `Snapshot` | {500} |", []string{"svc/roster.snapshotUsers"}},
	{"| devices of an account | {16} |", []string{"svc/engine.MaxDevices"}},
	{"a name with 1 to {16} devices", []string{"svc/engine.MaxDevices"}},
	{"answers {2,000} requests a second from one address", []string{"svc/stun.perSecond"}},
	{"for that address and token, good for {10 minutes} to twice that", []string{"svc/stun.cookieTime"}},
	{"goes again after {100 ms}, doubling to {700 ms}, and UDP is blocked if {1.5 s} bring",
		[]string{"p2p/nat.firstWait", "p2p/nat.lastTry", "p2p/nat.maxTime"}},
	{"reaches only who has asked, within {30 s}.", []string{"svc/control.answerTime"}},
	{"probe is a datagram of {68 bytes};", []string{"p2p/punch.headerSize+p2p/punch.bodySize+p2p/punch.tagSize"}},
	{"for {10 s}. What comes from", []string{"p2p/punch.giveUp"}},
	{"sends its first {600 ms} of probes", []string{"p2p/punch.holdBack"}},
	{"then after {250 ms} the device behind it sends such openers from {256} more sockets",
		[]string{"p2p/punch.crowdAfter", "p2p/punch.crowdSockets"}},
	{"one pings up to {2,048} ports of", []string{"p2p/punch.crowdGuesses"}},
	{"at random, {16} each {10 ms}.", []string{"p2p/punch.crowdBatch", "p2p/punch.crowdTick"}},
	{"the packet, of 1 to {1,500 bytes} |", []string{"protocol/relay.MaxPacket"}},
	{"pings each {25 s}, and gives up a connection on which nothing comes for {10 s} beyond that,",
		[]string{"p2p/relay.pingEvery", "p2p/relay.answerTime"}},
	{"or that takes nothing for {10 s};", []string{"p2p/relay.writeTime"}},
	{"pings at once and waits for {1.2 s}. It tries", []string{"p2p/relay.kickTime"}},
	{"after {100 ms}, doubling to {5 s}, less up to half", []string{"p2p/relay.firstBackoff", "p2p/relay.lastBackoff"}},
	{"is open after {30 s}.", []string{"p2p/relay.unusedFor"}},
	{"no whole frame for {60 s}, or takes nothing for {20 s}.", []string{"svc/relay.silentTime", "svc/relay.writeTime"}},
	{"| connections | {10,000} | | devices that one has open | {64} |", []string{"svc/relay#MaxConnections", "svc/relay#MaxOpen"}},
	{"{4 s} of that at once; what is beyond is dropped, and from {4} times that", []string{"svc/relay.burst", "svc/relay.floodFactor"}},
	{"| other frames | {10 ms} each, of which {10 s} at once", []string{"svc/relay.requestCost", "svc/relay.requestBurst"}},
	{"| {256 KiB} of frames; what is beyond", []string{"protocol/relay.MaxQueue"}},
	{"TCP has failed or {3 s} have passed", []string{"p2p/trunk.headStart"}},
}

// worked are phrases with numbers that follow from others, or that are no
// constant of one name.
var worked = []string{
	"again after 1 s, 2 s, 4 s, 6 s and 8 s,",             // session.rounds
	"for the administrator's log; up to 128 characters |", // twice maxRunes
	"(RFC 4648, without padding), 52 characters",
	"no more than 5,000 frames or 16 MiB a second of a device",                       // session.defaultLimits
	"one introduction each 2 s of one device, 32 a second",                           // session.introductionsOfOne, introductionsOfAll
	"again after 60 ms, 120 ms, 240 ms, 400 ms, 600 ms, 900 ms and then each 1.5 s,", // punch.gaps
	"and from 400 ms on that",                                                        // punch.crowdAfter+guessAfter
	"the size of what follows: 1 to 1,533 |",                                         // relay.maxRest
	"| packets of a device | 2 MiB a second,",                                        // svc/relay.Limits.BytesPerSecond
	"10 GiB in a day", // svc/relay.Limits.BytesPerDay
	"looked for after 3 s, 6 s, 12 s, 24 s and 48 s, and then each minute (each minute" +
		" from the beginning", // session.upgradeEvery and what is before it
	"first, but waits 200 ms at most;", // secure.introduceWithin
}

// TestDocumentLimits holds each number that PROTOCOL.md names against the code,
// and sees that no time or size is named which nobody compares.
func TestDocumentLimits(t *testing.T) {
	secure := strings.Join(strings.Fields(securePart(t)), " ")
	source := constants{}
	number := regexp.MustCompile(`\{([^}]*)\}`)
	known := slices.Clone(worked)
	for _, l := range limits {
		known = append(known, strings.NewReplacer("{", "", "}", "").Replace(l.phrase))
		numbers := number.FindAllStringSubmatch(l.phrase, -1)
		if len(numbers) != len(l.constants) {
			t.Fatalf("%q has %d numbers and %d constants", l.phrase, len(numbers), len(l.constants))
		}
		for i, n := range numbers {
			want, err := quantity(n[1])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := source.sum(l.constants[i]); err != nil || got != want {
				t.Errorf("%q: %s is %d, %v", l.phrase, l.constants[i], got, err)
			}
		}
	}
	for _, phrase := range known {
		if !strings.Contains(secure, phrase) {
			t.Errorf("the document doesn't say %q", phrase)
		}
		secure = strings.ReplaceAll(secure, phrase, "…")
	}
	loose := regexp.MustCompile(`.{0,40}\b[0-9][0-9.,]* (s|ms|minutes?|KiB|MiB|characters|items|frames)\b`)
	for _, found := range loose.FindAllString(secure, -1) {
		t.Errorf("nobody compares what is said in %q", found)
	}
}

// quantity reads a number with its unit: times are in nanoseconds.
func quantity(text string) (int64, error) {
	digits, unit, _ := strings.Cut(text, " ")
	units := map[string]int64{
		"": 1, "bytes": 1, "characters": 1, "items": 1, "frames": 1, "KiB": 1 << 10, "MiB": 1 << 20,
		"ms": int64(time.Millisecond), "s": int64(time.Second), "minute": int64(time.Minute), "minutes": int64(time.Minute),
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(digits, ",", ""), 64)
	if factor, ok := units[unit]; ok && err == nil {
		return int64(n * float64(factor)), nil
	}
	return 0, fmt.Errorf("%q is no quantity", text)
}

// constants are those of folders' source, by folder.
type constants map[string]*folder

// folder is the source of a package, without its tests.
type folder struct {
	values map[string]string // expressions, by constant
	text   string
}

func (c constants) sum(names string) (sum int64, err error) {
	for name := range strings.SplitSeq(names, "+") {
		n, err := c.value(name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// value returns an integer constant, or the default of a setting.
func (c constants) value(name string) (int64, error) {
	at := strings.LastIndexAny(name, ".#")
	f, err := c.folder(name[:at])
	if err != nil {
		return 0, err
	}
	if name[at] == '#' {
		m := regexp.MustCompile(`Name: "` + name[at+1:] + `",.* Fallback: ([0-9_]+)`).FindStringSubmatch(f.text)
		if m == nil {
			return 0, fmt.Errorf("there is no setting %s", name)
		}
		return strconv.ParseInt(strings.ReplaceAll(m[1], "_", ""), 10, 64)
	}
	return f.value(name[at+1:])
}

func (f *folder) value(name string) (int64, error) {
	expression, ok := f.values[name]
	if !ok {
		return 0, fmt.Errorf("there is no constant %s", name)
	}
	result, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expression)
	if err != nil {
		return 0, err
	}
	n, exact := constant.Int64Val(constant.ToInt(result.Value))
	if !exact {
		return 0, fmt.Errorf("%s is no integer", expression)
	}
	return n, nil
}

func (c constants) folder(path string) (*folder, error) {
	if f := c[path]; f != nil {
		return f, nil
	}
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(path), "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no folder %s", path)
	}
	f := &folder{values: make(map[string]string)}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f.text += string(text)
		parsed, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for i, ident := range spec.Names {
					f.values[ident.Name] = plainTime(types.ExprString(spec.Values[i]))
				}
			}
			return true
		})
	}
	c[path] = f
	return f, nil
}

// plainTime replaces the units of package time by what they are.
func plainTime(expression string) string {
	for unit, d := range map[string]time.Duration{
		"time.Millisecond": time.Millisecond, "time.Second": time.Second, "time.Minute": time.Minute, "time.Hour": time.Hour,
	} {
		expression = strings.ReplaceAll(expression, unit, strconv.FormatInt(int64(d), 10))
	}
	return expression
}
