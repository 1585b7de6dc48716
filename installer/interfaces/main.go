// Command interfaces is one half of a test: it prints the addresses of this computer,
// as a Go program sees them from where it is run.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(addresses)
}
