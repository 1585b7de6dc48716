// Package classic is the wire format of the classic protocol: comma separated
// text in UDP datagrams, and a list of users over TCP.
//
//	verb      direction               fields
//	login     client → coordinator    name, IP:port of the sender's listener
//	          coordinator → others    the same, forwarded
//	logout    as login                as login
//	Accept    coordinator → client    TCP port of the list
//	talk      client → client         time, sender, text (text may hold commas)
//	qunliao   client → coordinator    time, sender, text; forwarded to everyone
//
// Four verbs are Earshot's own. Programs in the field ignore verbs they do not
// know, and none of these is sent before the other side has shown that it is
// prepared for it (see PROTOCOL.md):
//
//	Refused   coordinator → client    a sentence that a person can act on
//	why       client → coordinator    name, listener: "why was I not accepted?"
//	alive     both                    name, listener: liveness probe, and its echo
//	speaks    client → coordinator    name, listener: "which encoding does this user speak?"
//	          coordinator → client    name, encoding
//
// A datagram is one message, in UTF-16LE, UTF-8 or GB18030 (see Encoding). The
// package does no I/O and keeps no state.
package classic
