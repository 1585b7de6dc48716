// Package portmap asks the router for a UDP port that leads to this host, so
// that others reach it without a hole in the NAT: by PCP (RFC 6887), NAT-PMP
// (RFC 6886) or UPnP's Internet Gateway Device, versions 1 and 2.
//
//	portmap.go  what a mapping is, and why there is none
//	mapper.go   the goroutine that gets a mapping, keeps it and gives it back
//	choose.go   which mappings are of use, and when to ask again; no I/O
//	search.go   all protocols side by side, of which the first one wins
//	gateway.go  which router is asked
//	pcp.go      PCP's messages; no I/O
//	ask.go      PCP's questions and answers on a socket
//	natpmp.go   NAT-PMP, by github.com/jackpal/go-nat-pmp
//	ssdp.go     the search for UPnP devices; no I/O
//	upnp.go     UPnP, by github.com/huin/goupnp
//
// Whatever a router says is taken as said by a stranger: it is read up to a
// size and a deadline, only from the router's own address, and nothing else is
// asked at its word.
package portmap
