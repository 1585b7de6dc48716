package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Only what is the file's own is given back.
func TestCleanMappings(t *testing.T) {
	const smaps = `00400000-00e3c000 r-xp 00000000 fe:00 1 /opt/my programs/earshot
Size:              10480 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00e3c000-01000000 r--p 00a3c000 fe:00 1 /opt/my programs/earshot
Anonymous:             4 kB
01000000-01200000 rw-p 00c00000 fe:00 1 /opt/my programs/earshot
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 2 /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 00:00 0
Anonymous:             0 kB
02000000-02001000 r--p 00e00000 fe:00 1 /opt/my programs/earshot
Anonymous:             0 kB
`
	got, err := cleanMappings(strings.NewReader(smaps), "/opt/my programs/earshot")
	if want := []mapping{{0x400000, 0xe3c000}, {0x2000000, 0x2001000}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%x, %v; want %x", got, err, want)
	}
	got, err = cleanMappings(strings.NewReader(smaps), "")
	if want := []mapping{{0x400000, 0xe3c000}, {0x7f0000000000, 0x7f0000001000}, {0x2000000, 0x2001000}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("of all files %x, %v; want %x", got, err, want)
	}
}

// A program goes on without its pages, which come back as they are needed.
func TestDropProgram(t *testing.T) {
	before := fileResident(t)
	if err := dropProgram(); err != nil {
		t.Fatal(err)
	}
	after := fileResident(t)
	t.Logf("%d kB of files were in memory, and %d kB afterwards", before, after)
	if after >= before {
		t.Errorf("%d kB of files are in memory after %d kB", after, before)
	}
}

func fileResident(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no RssFile in /proc/self/status")
	return 0
}
