package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dropProgram takes the program's own pages out of this process's memory: the
// start has run through most of a program of which resting needs little. They
// are the file's, so what is needed again comes back from the system's cache in
// microseconds, by itself.
func dropProgram() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return dropFile(self)
}

// dropLibraries is dropProgram for all that the process has of files, a
// toolkit's libraries and fonts above all.
func dropLibraries() error { return dropFile("") }

// dropFile drops the pages of a file, or of every file without a name.
func dropFile(file string) error {
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer maps.Close()
	clean, err := cleanMappings(maps, file)
	if err != nil {
		return err
	}
	for _, m := range clean {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}

type mapping struct{ from, to uintptr }

// cleanMappings reads smaps (proc(5)) and returns the mappings of a file that
// nobody can have written to: those that aren't writable and have no page of
// their own, as one has that was written to while the program was loaded.
// Without a file's name it returns those of all files.
func cleanMappings(smaps io.Reader, file string) (clean []mapping, err error) {
	var m mapping
	var ours bool
	in := bufio.NewScanner(smaps)
	for in.Scan() {
		fields := strings.Fields(in.Text())
		if len(fields) == 0 {
			continue
		}
		if from, to, ok := strings.Cut(fields[0], "-"); ok && len(fields) > 1 {
			f, err1 := strconv.ParseUint(from, 16, 64)
			t, err2 := strconv.ParseUint(to, 16, 64)
			ours = err1 == nil && err2 == nil && t > f && !strings.Contains(fields[1], "w") &&
				len(fields) > 5 && (strings.Join(fields[5:], " ") == file || file == "" && strings.HasPrefix(fields[5], "/"))
			m = mapping{uintptr(f), uintptr(t)}
			continue
		}
		if ours && fields[0] == "Anonymous:" && len(fields) > 1 && fields[1] == "0" {
			clean = append(clean, m)
		}
	}
	return clean, in.Err()
}
