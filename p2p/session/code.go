package session

import (
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"
)

// code is why one device closed a connection, as it tells the other.
type code quic.ApplicationErrorCode

const (
	// codeLost is a connection that nobody closed. It is never sent.
	codeLost code = iota
	codeShutdown
	codeIdle
	// codeReplaced is a connection that another one stands in for.
	codeReplaced
	// codeStranger is a device that is unknown here, or trusted no more.
	codeStranger
	// codeLater is an item that can't be stored now.
	codeLater
	codeMalformed
	codeVersion
	// codeName is a device that says it belongs to somebody else.
	codeName
	// codeStuck is a device that takes nothing, or acknowledges nothing.
	codeStuck
	codeSilent // no hello
)

var codeTexts = map[code]string{
	codeLost: "lost", codeShutdown: "shutting down", codeIdle: "idle", codeReplaced: "replaced",
	codeStranger: "unknown device", codeLater: "can't store now", codeMalformed: "malformed frame",
	codeVersion: "no version in common", codeName: "wrong name", codeStuck: "stuck", codeSilent: "no hello",
}

// String is for the other side's log, too.
func (c code) String() string {
	if text, ok := codeTexts[c]; ok {
		return text
	}
	return fmt.Sprintf("code %d", uint64(c))
}

// final says that another attempt right now would end as this one.
func (c code) final() bool {
	switch c {
	case codeLater, codeMalformed, codeVersion, codeName:
		return true
	}
	return false
}

// codeOf is why a connection ended, if the other device said so.
func codeOf(err error) code {
	if closed, ok := errors.AsType[*quic.ApplicationError](err); ok && closed.Remote {
		return code(closed.ErrorCode)
	}
	return codeLost
}

// rejects is what the other device is told about an error of its frames.
func rejects(err error) code {
	switch {
	case errors.Is(err, errVersion):
		return codeVersion
	case errors.Is(err, errName):
		return codeName
	}
	return codeMalformed
}

func closeConn(c *quic.Conn, why code) {
	_ = c.CloseWithError(quic.ApplicationErrorCode(why), why.String()) // always nil
}
