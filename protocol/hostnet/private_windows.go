package hostnet

import (
	"net"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// ListenPrivate opens a named pipe that only the account of this process can
// connect to, and whoever the entries of others (SDDL) name.
func ListenPrivate(pipe, others string) (net.Listener, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return winio.ListenPipe(pipe, &winio.PipeConfig{
		// Protected from inheritance; all rights for these, none for others.
		SecurityDescriptor: "D:P" + others + "(A;;GA;;;" + user.User.Sid.String() + ")",
	})
}
