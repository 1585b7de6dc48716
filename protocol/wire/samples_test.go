package wire_test

import (
	"net/netip"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/wire"
)

// sample is a message and the frame that it is, which was put together by hand
// and not by protobuf's library.
type sample struct {
	name    string
	message proto.Message
	frame   string // hexadecimal
}

var (
	key       = sequence(0, 32)
	id        = sequence(16, 16)
	signature = repeated(0x5a, 64)
)

// compressedPing is a ToClient, 3200, as RFC 1951 has it if nothing can be saved: the
// last block, stored, its size and the complement of that.
var compressedPing = []byte{1, 2, 0, 0xfd, 0xff, 0x32, 0}

func sequence(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func repeated(value byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = value
	}
	return b
}

func status() *wire.Status {
	return &wire.Status{Presence: wire.Presence_PRESENCE_BUSY, Text: "会议", DisplayName: "Ann", Department: "QA"}
}

func candidates() []*wire.Candidate {
	return []*wire.Candidate{
		{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.MustParseAddrPort("10.0.0.7:13277"))},
		{Kind: wire.Candidate_KIND_REFLEXIVE, Address: wire.Address(netip.MustParseAddrPort("[2001:db8::7]:13277"))},
	}
}

func endpoint() *wire.Classic {
	return &wire.Classic{Endpoint: wire.Address(netip.MustParseAddrPort("10.0.0.7:13277")), Encoding: wire.Encoding_ENCODING_UTF8}
}

func device() *wire.Device {
	return &wire.Device{Key: key, Label: "laptop", Online: true, Candidates: candidates()[:1],
		Endorsements: []*wire.Endorsement{{By: key, Signature: signature}}}
}

func account() *wire.Account { return &wire.Account{Name: "Ann", Devices: []*wire.Device{device()}} }

func user() *wire.User {
	return &wire.User{Id: 300, Name: "Ann", Status: status(), Devices: []*wire.Device{device()}, Classic: endpoint()}
}

func hello() *wire.Hello {
	return &wire.Hello{VersionMin: 1, VersionMax: 2, Capabilities: []string{"x"}, Name: "Ann", Program: "earshot 1.0",
		DeviceLabel: "laptop", Status: status(), Candidates: candidates(), Classic: endpoint(),
		Epoch: 7, Sequence: 300, Invite: "K7QX", JoinProof: key}
}

func item(i *wire.Item) *wire.ToPeer {
	i.Id = id
	return &wire.ToPeer{Body: &wire.ToPeer_Item{Item: i}}
}

var toCoordinator = []sample{
	{"hello", &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello()}},
		"000000960a9301080110021a01782203416e6e2a0b65617273686f7420312e3032066c6170746f703a1308031206e4bc9ae8aeae1a03416e" +
			"6e22025141420a080112060a00000733dd42160802121220010db800000000000000000000000733dd4a0a0a060a00000733dd1002500758" +
			"ac0262044b3751586a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
	{"set status", &wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{Status: status()}}},
		"0000001712150a1308031206e4bc9ae8aeae1a03416e6e22025141"},
	{"set candidates", &wire.ToCoordinator{Body: &wire.ToCoordinator_SetCandidates{SetCandidates: &wire.SetCandidates{Candidates: candidates()}}},
		"000000261a240a0a080112060a00000733dd0a160802121220010db800000000000000000000000733dd"},
	{"introduce", &wire.ToCoordinator{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{Device: key, Candidates: candidates()[:1], ProbeKey: key, Nat: wire.Nat_NAT_HARD, Answer: true}}},
		"0000005622540a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f120a080112060a00000733dd1a200001" +
			"02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20032801"},
	{"ping", &wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{Ping: &wire.Ping{}}},
		"000000022a00"},
	{"pong", &wire.ToCoordinator{Body: &wire.ToCoordinator_Pong{Pong: &wire.Pong{}}},
		"000000023200"},
	{"remove device", &wire.ToCoordinator{Body: &wire.ToCoordinator_RemoveDevice{RemoveDevice: &wire.RemoveDevice{Key: key}}},
		"000000243a220a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
	{"join answer", &wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: &wire.JoinAnswer{Id: 9, Signature: signature}}},
		"000000464244080912405a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a" +
			"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"},
	{"join refused", &wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: &wire.JoinAnswer{Id: 9}}},
		"0000000442020809"},
}

var toClient = []sample{
	{"welcome", &wire.ToClient{Body: &wire.ToClient_Welcome{Welcome: &wire.Welcome{Version: 1, Capabilities: []string{"x"}, Account: account(), Epoch: 7, Resumed: true, KeepaliveSeconds: 25, StunPorts: []uint32{13277, 13278}, StunToken: "ab", WebPort: 443, Relay: true}}},
		"000000c60ac30108011201781aa6010a03416e6e129e010a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e" +
			"1f12066c6170746f701801220a080112060a00000733dd2a640a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c" +
			"1d1e1f12405a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a" +
			"5a5a5a5a5a5a5a5a5a5a5a5a5a2007280130193a04dd67de674202616248bb035001"},
	{"refused", &wire.ToClient{Body: &wire.ToClient_Refused{Refused: &wire.Refused{Code: wire.Refused_CODE_TOO_FAST, Sentence: "Slow down.", RetrySeconds: 60}}},
		"000000121210080c120a536c6f7720646f776e2e183c"},
	{"snapshot", &wire.ToClient{Body: &wire.ToClient_Snapshot{Snapshot: &wire.Snapshot{Epoch: 7, Sequence: 300, Users: []*wire.User{user(), {Id: 1, Name: "Bo"}}, More: true}}},
		"000000df1adc01080710ac021aca0108ac021203416e6e1a1308031206e4bc9ae8aeae1a03416e6e22025141229e010a2000010203040506" +
			"0708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12066c6170746f701801220a080112060a00000733dd2a640a200001020304" +
			"05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12405a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a" +
			"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a2a0a0a060a00000733dd10021a060801120242" +
			"6f2001"},
	{"put", &wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: 301, Change: &wire.Delta_Put{Put: user()}}}},
		"000000d322d00108ad0212ca0108ac021203416e6e1a1308031206e4bc9ae8aeae1a03416e6e22025141229e010a20000102030405060708" +
			"090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12066c6170746f701801220a080112060a00000733dd2a640a2000010203040506" +
			"0708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12405a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a" +
			"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a2a0a0a060a00000733dd1002"},
	{"gone", &wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: 302, Change: &wire.Delta_Gone{Gone: 300}}}},
		"00000008220608ae0218ac02"},
	{"introduction", &wire.ToClient{Body: &wire.ToClient_Introduction{Introduction: &wire.Introduction{User: user(), Device: key, Candidates: candidates()[:1], ProbeKey: key, Nat: wire.Nat_NAT_HARD, Answer: true}}},
		"000001242aa1020aca0108ac021203416e6e1a1308031206e4bc9ae8aeae1a03416e6e22025141229e010a20000102030405060708090a0b" +
			"0c0d0e0f101112131415161718191a1b1c1d1e1f12066c6170746f701801220a080112060a00000733dd2a640a2000010203040506070809" +
			"0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12405a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a" +
			"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a2a0a0a060a00000733dd1002122000010203040506070809" +
			"0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f1a0a080112060a00000733dd2220000102030405060708090a0b0c0d0e0f10111213" +
			"1415161718191a1b1c1d1e1f28033001"},
	{"ping", &wire.ToClient{Body: &wire.ToClient_Ping{Ping: &wire.Ping{}}},
		"000000023200"},
	{"compressed", &wire.ToClient{Body: &wire.ToClient_Deflate{Deflate: compressedPing}},
		"000000095a07010200fdff3200"},
	{"pong, and less often", &wire.ToClient{Body: &wire.ToClient_Pong{Pong: &wire.Pong{KeepaliveSeconds: 50}}},
		"000000043a020832"},
	{"pong", &wire.ToClient{Body: &wire.ToClient_Pong{Pong: &wire.Pong{}}},
		"000000023a00"},
	{"group talk", &wire.ToClient{Body: &wire.ToClient_GroupTalk{GroupTalk: &wire.GroupTalk{Sender: "张三", Text: "你好"}}},
		"0000001242100a06e5bca0e4b8891206e4bda0e5a5bd"},
	{"join request", &wire.ToClient{Body: &wire.ToClient_JoinRequest{JoinRequest: &wire.JoinRequest{Id: 9, Device: key, Label: "phone", Proof: key}}},
		"0000004f4a4d08091220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f1a0570686f6e6522200001020304" +
			"05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
	{"account", &wire.ToClient{Body: &wire.ToClient_Account{Account: account()}},
		"000000a952a6010a03416e6e129e010a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12066c6170746f" +
			"701801220a080112060a00000733dd2a640a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f12405a5a5a" +
			"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a" +
			"5a5a5a5a5a"},
}

var toPeer = []sample{
	{"hello", &wire.ToPeer{Body: &wire.ToPeer_Hello{Hello: &wire.PeerHello{VersionMin: 1, VersionMax: 1, Capabilities: []string{"x"}, Name: "Ann"}}},
		"0000000e0a0c080110011a01782203416e6e"},
	{"text", item(&wire.Item{SentAt: 1795413600123, Audience: &wire.Audience{Kind: wire.Audience_KIND_DEPARTMENT, Department: "QA", Count: 30, Names: []string{"Bo", "Cy"}},
		CopyOf: "Bo", Body: &wire.Item_Text{Text: &wire.Text{Text: "你好 😀", ReplyTo: id, Urgent: true}}}),
		"0000005412520a10101112131415161718191a1b1c1d1e1f10fbcef5b7a0341a10080312025141181e2202426f220243792202426f52210a" +
			"0be4bda0e5a5bd20f09f98801210101112131415161718191a1b1c1d1e1f1801"},
	{"edit", item(&wire.Item{SentAt: 1, Body: &wire.Item_Edit{Edit: &wire.Edit{Of: id, Text: "b"}}}),
		"0000002d122b0a10101112131415161718191a1b1c1d1e1f10015a150a10101112131415161718191a1b1c1d1e1f120162"},
	{"delete", item(&wire.Item{SentAt: 1, Body: &wire.Item_Delete{Delete: &wire.Delete{Of: id}}}),
		"0000002a12280a10101112131415161718191a1b1c1d1e1f100162120a10101112131415161718191a1b1c1d1e1f"},
	{"seen", item(&wire.Item{SentAt: 1, Body: &wire.Item_Seen{Seen: &wire.Seen{Of: [][]byte{id, id}}}}),
		"0000003c123a0a10101112131415161718191a1b1c1d1e1f10016a240a10101112131415161718191a1b1c1d1e1f0a101011121314151617" +
			"18191a1b1c1d1e1f"},
	{"acknowledge", item(&wire.Item{SentAt: 1, Body: &wire.Item_Acknowledge{Acknowledge: &wire.Acknowledge{Of: id}}}),
		"0000002a12280a10101112131415161718191a1b1c1d1e1f100172120a10101112131415161718191a1b1c1d1e1f"},
	{"stored", &wire.ToPeer{Body: &wire.ToPeer_Ack{Ack: &wire.Ack{Id: id, Result: wire.Ack_RESULT_STORED}}},
		"000000161a140a10101112131415161718191a1b1c1d1e1f1001"},
	{"not taken", &wire.ToPeer{Body: &wire.ToPeer_Ack{Ack: &wire.Ack{Id: id, Result: wire.Ack_RESULT_REFUSED, Sentence: "Too long."}}},
		"000000211a1f0a10101112131415161718191a1b1c1d1e1f10021a09546f6f206c6f6e672e"},
	{"typing", &wire.ToPeer{Body: &wire.ToPeer_Typing{Typing: &wire.Typing{Active: true}}},
		"0000000422020801"},
	{"stopped typing", &wire.ToPeer{Body: &wire.ToPeer_Typing{Typing: &wire.Typing{}}},
		"000000022200"},
}
