// Command msi makes the Windows installers of both programs by wixl, and signs them
// by osslsigncode if there is a certificate.
//
//	go run ./installer/windows/msi -version 1.2.3 -programs DIR -out dist
//
// DIR has earshotd.exe and earshot.exe. EARSHOT_SIGN_PFX names a file with the
// certificate and its key, and EARSHOT_SIGN_PASSWORD a file with its password; both
// programs and installers are signed then.
package main

import (
	"crypto/sha1"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"earshot/icons"
)

func main() {
	version := flag.String("version", "", "the version, such as 1.2.3 or 1.2.3-4-gabcdef")
	programs := flag.String("programs", "", "the folder with the programs")
	out := flag.String("out", "dist", "where the installers go")
	flag.Parse()
	if err := run(*version, *programs, *out); err != nil {
		fmt.Fprintln(os.Stderr, "msi:", err)
		os.Exit(1)
	}
}

// number is what Windows Installer takes for a version: it compares three numbers.
var number = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)`)

func run(version, programs, out string) error {
	match := number.FindStringSubmatch(version)
	if match == nil {
		return fmt.Errorf("-version is %q, which does not begin with three numbers", version)
	}
	work, err := os.MkdirTemp("", "msi")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	sign, err := signer()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "app.ico"), icons.AppICO(), 0o644); err != nil {
		return err
	}
	for name, source := range map[string]*template.Template{"earshotd": coordinator, "earshot": client} {
		program := filepath.Join(work, name+".exe")
		if err := sign(filepath.Join(programs, name+".exe"), program); err != nil {
			return err
		}
		recipe, unsigned := filepath.Join(work, name+".wxs"), filepath.Join(work, name+".msi")
		f, err := os.Create(recipe)
		if err != nil {
			return err
		}
		err = source.Execute(f, map[string]string{"Version": match[1], "Product": productCode(name, match[1]), "Program": filepath.Base(program), "Icon": "app.ico"})
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
		// It warns of attributes that it doesn't know; what is wrong it says by its exit code.
		build := exec.Command("wixl", "-a", "x64", "-o", unsigned, recipe)
		build.Dir = work // from which it finds files
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("wixl: %w\n%s", err, said)
		}
		for _, correction := range corrections[name] {
			if said, err := exec.Command("msibuild", unsigned, "-q", correction).CombinedOutput(); err != nil {
				return fmt.Errorf("msibuild: %w\n%s", err, said)
			}
		}
		if err := sign(unsigned, filepath.Join(out, name+"-"+strings.TrimPrefix(version, "v")+"-x64.msi")); err != nil {
			return err
		}
	}
	return nil
}

// productCode is what Windows knows a version of a program by: another one for each
// version, and the same each time (a UUID by name, RFC 9562, section 5.5).
func productCode(name, version string) string {
	sum := sha1.Sum([]byte("earshot product " + name + " " + version))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

// signer returns what signs a file into another one, or copies it where there is no
// certificate.
func signer() (func(from, to string) error, error) {
	certificate := os.Getenv("EARSHOT_SIGN_PFX")
	if certificate == "" {
		fmt.Fprintln(os.Stderr, "msi: EARSHOT_SIGN_PFX names no certificate, so nothing is signed, and Windows will ask people whether they trust it")
		return func(from, to string) error {
			content, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			return os.WriteFile(to, content, 0o755)
		}, nil
	}
	password := os.Getenv("EARSHOT_SIGN_PASSWORD")
	if password == "" {
		return nil, fmt.Errorf("EARSHOT_SIGN_PASSWORD names no file with the password of %s", certificate)
	}
	return func(from, to string) error {
		args := []string{"sign", "-pkcs12", certificate, "-readpass", password, "-h", "sha256", "-n", "Earshot"}
		if service := os.Getenv("EARSHOT_SIGN_TIMESTAMP"); service != "" {
			args = append(args, "-ts", service)
		}
		said, err := exec.Command("osslsigncode", append(args, "-in", from, "-out", to)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("osslsigncode: %w\n%s", err, said)
		}
		return nil
	}, nil
}
