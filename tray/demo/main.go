// Command demo is `make run`: the main job on real processes and real sockets.
// It starts a coordinator, a client named echo that answers whatever it is
// sent, and a client for the person at the keyboard: in the tray where there is
// a desktop, and otherwise as a conversation in the terminal. It drives both
// programs through their command line only, as anyone's script would.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "the `directory` that holds earshotd and earshot")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string) (err error) {
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "earshot-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stage := &stage{bin: bin, dir: dir}
	defer func() { err = errors.Join(err, stage.end(err != nil && ctx.Err() == nil)) }()

	server, err := freeAddress()
	if err != nil {
		return err
	}
	fmt.Printf("Starting a coordinator on %s…\n", server)
	if err := stage.start("earshotd", "run", "--listen", server, "--data", filepath.Join(dir, "coordinator")); err != nil {
		return err
	}
	desktop := hasDesktop()
	me := &actor{stage: stage, name: ownName(), server: server}
	if desktop {
		fmt.Printf("Starting you, %s, in the tray…\n", me.name)
		err = me.start(ctx)
	} else {
		fmt.Println("There is no desktop here (neither DISPLAY nor WAYLAND_DISPLAY is set), so the conversation runs in this terminal.")
		fmt.Printf("Starting you, %s…\n", me.name)
		err = me.start(ctx, "--headless")
	}
	if err != nil {
		return err
	}
	echo := &actor{stage: stage, name: "echo", server: server}
	fmt.Println("Starting echo, who answers whatever it is sent…")
	if err := echo.start(ctx, "--headless"); err != nil {
		return err
	}
	go echo.answer(ctx)
	return conversation(ctx, me, echo, desktop)
}

// conversation shows the main job once through and then lets the person go on.
func conversation(ctx context.Context, me, echo *actor, desktop bool) error {
	if err := me.await(ctx, "login", echo.name, ""); err != nil {
		return err
	}
	fmt.Printf("\n  %s came online.\n\nThe roster:\n", echo.name)
	roster, err := me.command(ctx, "roster")
	if err != nil {
		return err
	}
	fmt.Println(indent(roster))
	greeting := "Hello! Are you there?"
	fmt.Printf("You → %s: %s\n", echo.name, greeting)
	if _, err := me.command(ctx, "send", echo.name, greeting); err != nil {
		return err
	}
	if err := me.await(ctx, "message", echo.name, "You said: "+greeting); err != nil {
		return err
	}
	fmt.Printf("%s → you: You said: %s\n", echo.name, greeting)

	switch {
	case desktop:
		fmt.Printf("\nNow you: click the icon in the tray, click %s, type, press Enter. Ctrl-C ends it all.\n", echo.name)
		return me.show(ctx)
	case isTerminal(os.Stdin):
		fmt.Printf("\nNow you: type something to %s and press Enter. Ctrl-C ends it all.\n", echo.name)
		return me.chat(ctx, echo.name)
	}
	if err := echo.stop(); err != nil {
		return err
	}
	if err := me.await(ctx, "logout", echo.name, ""); err != nil {
		return err
	}
	fmt.Printf("\n  %s went offline.\n", echo.name)
	return nil
}

// hasDesktop says whether the client would find a tray to live in.
func hasDesktop() bool {
	switch runtime.GOOS {
	case "windows":
		return true
	case "linux":
		return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	}
	return false
}

// ownName is the account's name, made fit for a roster.
func ownName() string {
	if u, err := user.Current(); err == nil {
		name := u.Username[strings.LastIndexAny(u.Username, `\`)+1:]
		if name != "" && name != "echo" && !strings.ContainsAny(name, ",;") {
			return name
		}
	}
	return "you"
}

// freeAddress returns a loopback address whose port and the two above it are
// free: the coordinator's usual one, if nobody has it.
func freeAddress() (string, error) {
	for port := 13277; port < 13277+300; port += 3 {
		if free(port) && free(port+1) && free(port+2) {
			return fmt.Sprintf("127.0.0.1:%d", port), nil
		}
	}
	return "", errors.New("no three adjacent free ports from 13277 to 13576; end what uses them and try again")
}

func free(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return p.Close() == nil
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}

// grace is how long a program may take to end by itself.
const grace = 10 * time.Second
