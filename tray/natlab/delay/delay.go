//go:build linux

// Package delay is a wire between two network namespaces that has a latency
// and loses packets, as netem would make it where the kernel has that. Each end
// is a TUN device.
package delay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"earshot/tray/natlab/netns"
)

// End is a device that the wire makes in a namespace. It is there, and down,
// when Open returns, and gone after Close.
type End struct{ Namespace, Device string }

// Quality is how a wire carries packets, the same in both directions.
type Quality struct {
	Latency time.Duration
	// Loss is the share of packets that are lost, 0 to 1.
	Loss float64
}

// queue is how many packets may be under way in one direction; what comes on
// top is lost, as in any router.
const queue = 4096

// maxPacket is more than a TUN device gives.
const maxPacket = 64 << 10

// Wire is open from Open to Close.
type Wire struct {
	ends [2]*os.File
	work sync.WaitGroup
}

// Open makes both devices and begins to carry.
func Open(a, b End, q Quality) (*Wire, error) {
	w := new(Wire)
	for i, end := range []End{a, b} {
		var err error
		if w.ends[i], err = tun(end); err != nil {
			w.Close()
			return nil, err
		}
	}
	for i := range w.ends {
		from, to := w.ends[i], w.ends[1-i]
		under := make(chan packet, queue)
		w.work.Go(func() { take(from, under, q) })
		w.work.Go(func() { give(to, under) })
	}
	return w, nil
}

// Close removes both devices. It may be called more than once.
func (w *Wire) Close() {
	for _, f := range w.ends {
		if f != nil {
			_ = f.Close()
		}
	}
	w.work.Wait()
}

type packet struct {
	due  time.Time
	data []byte
}

// take reads what is sent at one end.
func take(from *os.File, under chan<- packet, q Quality) {
	defer close(under)
	buf := make([]byte, maxPacket)
	for {
		n, err := from.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil || rand.Float64() < q.Loss {
			continue
		}
		select {
		case under <- packet{time.Now().Add(q.Latency), append([]byte(nil), buf[:n]...)}:
		default:
		}
	}
}

// give writes it at the other when it has been under way for long enough.
// The latency is the same for all, so they come in the order in which they left.
func give(to *os.File, under <-chan packet) {
	for p := range under {
		time.Sleep(time.Until(p.due))
		// A device that is down takes nothing: lost, as on a cut wire.
		_, _ = to.Write(p.data)
	}
}

// tun makes a TUN device.
func tun(end End) (f *os.File, err error) {
	err = netns.Do(end.Namespace, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(end.Device)
		if err != nil {
			_ = unix.Close(fd)
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			_ = unix.Close(fd)
			return err
		}
		f = os.NewFile(uintptr(fd), "/dev/net/tun")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("making the TUN device %s: %w", end.Device, err)
	}
	return f, nil
}
