package main

import (
	"os"
	"strings"

	"golang.org/x/term"
	"rsc.io/qr"
)

// safetyCode is what the QR code of a safety number holds: its digits behind a
// word that says what they are.
func safetyCode(number string) string {
	return "earshot-safety:1:" + strings.ReplaceAll(number, " ", "")
}

// quiet is the margin of a code in modules. The standard asks for four, of
// which readers need two.
const quiet = 2

// qrCode draws a text as a QR code (ISO/IEC 18004) in half blocks, two modules
// of its height in a line. On a terminal the colours are set, since a reader
// wants dark on light whatever the terminal's own are.
func qrCode(text string, terminal bool) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		if terminal {
			out.WriteString("\x1b[40;97m")
		}
		for x := -quiet; x < code.Size+quiet; x++ {
			// Outside of the code everything is light.
			top, bottom := !code.Black(x, y), !code.Black(x, y+1)
			switch {
			case top && bottom:
				out.WriteRune('█')
			case top:
				out.WriteRune('▀')
			case bottom:
				out.WriteRune('▄')
			default:
				out.WriteRune(' ')
			}
		}
		if terminal {
			out.WriteString("\x1b[0m")
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}

// terminal says whether the output is one.
func (c *command) terminal() bool {
	f, ok := c.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
