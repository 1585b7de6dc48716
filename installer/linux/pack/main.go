// Command pack builds the packages of both programs for Linux: deb, rpm, apk and
// Arch's. What they hold that other files of the project know – the unit, the
// configuration, the manual pages, the words that a shell completes – is made
// from those.
//
//	go run ./installer/linux/pack -version 1.2.3 -nfpm /path/to/nfpm -out dist
//
// With SOURCE_DATE_EPOCH set, two runs make the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// formats are the kinds of packages, as nfpm calls them.
var formats = []string{"deb", "rpm", "apk", "archlinux"}

func main() {
	var j job
	flag.StringVar(&j.version, "version", "", "the version of the programs, such as 1.2.3 or 1.2.3-4-gabcdef")
	flag.StringVar(&j.nfpm, "nfpm", "nfpm", "the program that makes packages")
	flag.StringVar(&j.out, "out", "dist", "where the packages go")
	arches := flag.String("arch", "amd64,arm64", "the architectures, as Go calls them")
	kinds := flag.String("format", strings.Join(formats, ","), "the kinds of packages")
	flag.Parse()
	j.arches, j.formats = strings.Split(*arches, ","), strings.Split(*kinds, ",")
	if err := j.run(); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// job is one run.
type job struct {
	version, nfpm, out string
	arches, formats    []string
	when               time.Time // of everything in the packages
	stage              string    // a directory that is gone afterwards
}

func (j *job) run() (err error) {
	if j.version == "" {
		return errors.New("-version says which version this is")
	}
	j.when = time.Now().UTC()
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is no number of seconds", epoch)
		}
		j.when = time.Unix(seconds, 0).UTC()
	}
	if j.stage, err = os.MkdirTemp("", "pack"); err != nil {
		return err
	}
	defer os.RemoveAll(j.stage)
	if err := os.MkdirAll(j.out, 0o755); err != nil {
		return err
	}
	for _, p := range products {
		if err := j.common(p); err != nil {
			return err
		}
		for _, arch := range j.arches {
			if err := j.product(p, arch); err != nil {
				return err
			}
		}
	}
	return nil
}

// product makes the packages of a program for an architecture.
func (j *job) product(p product, arch string) error {
	program := filepath.Join(j.stage, arch, p.name)
	build := exec.Command("go", "build", "-trimpath", "-buildmode="+p.mode, "-ldflags", "-s -w -buildid= -bindnow -X main.version="+j.version, "-o", program, p.source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if err := run(build); err != nil {
		return err
	}
	for _, format := range j.formats {
		recipe := filepath.Join(j.stage, p.name+"-"+arch+"-"+format+".yaml")
		text, err := j.recipe(p, arch, format, program)
		if err != nil {
			return err
		}
		if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
			return err
		}
		pack := exec.Command(j.nfpm, "package", "--config", recipe, "--packager", format, "--target", j.out)
		pack.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.FormatInt(j.when.Unix(), 10))
		if err := run(pack); err != nil {
			return err
		}
	}
	return nil
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
