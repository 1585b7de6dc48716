package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A service starts in another directory and with another environment.
func TestArgumentsOfTheService(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a b.toml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"--data", filepath.Join(dir, "data"), "--listen", ":2000", "--config", file}
	flags := []string{"--listen", ":2000", "--data", "data"}
	t.Setenv("EARSHOT_CONFIG", "")
	p, err := parse("install", append(flags, "--config", "a b.toml"))
	if err != nil || !slices.Equal(p.arguments, want) {
		t.Errorf("with a flag: %q, %v", p.arguments, err)
	}
	t.Setenv("EARSHOT_CONFIG", "a b.toml")
	p, err = parse("install", flags)
	if err != nil || !slices.Equal(p.arguments, want) {
		t.Errorf("with the environment: %q, %v", p.arguments, err)
	}
}

func TestWhatInstallSays(t *testing.T) {
	for _, c := range []struct {
		running, restarted bool
		environment        []string
		want, not          string
	}{
		{false, false, nil, "`earshotd start` starts it now", "terminal"},
		{true, false, nil, "`earshotd restart` makes the running one use this installation", "start` starts"},
		{true, true, nil, "runs again", "`"},
		{false, true, []string{"EARSHOT_LISTEN=:1", "EARSHOT_DATA=/x", "EARSHOT_CONFIG=/y", "EARSHOT_LOG_LEVEL=", "HOME=/"},
			"does not see this terminal's EARSHOT_DATA, EARSHOT_LISTEN; ", "EARSHOT_CONFIG"},
	} {
		if got := installed(c.running, c.restarted, c.environment); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// A person at a terminal reads text, a collector of logs JSON.
func TestLogFormat(t *testing.T) {
	for terminal, want := range map[bool]string{true: "level=WARN msg=words\n", false: `"level":"WARN","msg":"words"}`} {
		var b strings.Builder
		log := logTo(&b, terminal, nil, slog.LevelWarn)
		log.Info("too quiet")
		log.Warn("words")
		if !strings.HasSuffix(strings.TrimSpace(b.String())+"\n", strings.TrimSpace(want)+"\n") || strings.Count(b.String(), "\n") != 1 {
			t.Errorf("terminal %v: %q", terminal, b.String())
		}
	}
}
