//go:build linux

package natlab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Need ends the test unless it may make network namespaces with NATs and all
// programs are there: skipped, with what is missing, or failed where CI is
// true.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, "this test makes network namespaces and needs root")
	}
	var missing []string
	for _, program := range append([]string{"ip", "nft", "conntrack"}, programs...) {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		need(t, "this test needs "+strings.Join(missing, ", ")+"; make deps says which packages to install")
	}
	if why := tryNAT(); why != "" {
		need(t, "this test needs network namespaces with NAT, which this kernel or container does not give: "+why)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		need(t, "this test needs /dev/net/tun, which this kernel or container does not give")
	}
}

// need is the one place where a test is skipped.
func need(t testing.TB, sentence string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}

// tryNAT says why there can be no lab here; empty if there can.
var tryNAT = sync.OnceValue(func() string {
	name := fmt.Sprintf("natlab-%d-0-try", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return strings.TrimSpace(string(out))
	}
	defer removeNamespaces(name)
	cmd := exec.Command("ip", "netns", "exec", name, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader("table ip try {\n chain post { type nat hook postrouting priority 100; masquerade fully-random\n }\n}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return strings.TrimSpace(string(out))
	}
	return ""
})

// removeNamespaces removes all with a prefix, and whoever runs in them.
func removeNamespaces(prefix string) {
	found, _ := filepath.Glob("/run/netns/" + prefix + "*")
	for _, file := range found {
		name := filepath.Base(file)
		pids, _ := exec.Command("ip", "netns", "pids", name).Output()
		for pid := range strings.FieldsSeq(string(pids)) {
			if n, err := strconv.Atoi(pid); err == nil && n != os.Getpid() {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
		_ = exec.Command("ip", "netns", "del", name).Run()
		_ = os.RemoveAll(etc(name))
	}
}

// etc is where ip keeps the files that a namespace has instead of the system's.
func etc(namespace string) string { return "/etc/netns/" + namespace }
