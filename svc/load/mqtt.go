package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// MQTT is a crowd of an MQTT broker (version 3.1.1), in which everybody has a
// retained topic that says whether they are there, and a will that says they
// are not.
type MQTT struct {
	to      netip.AddrPort
	clients []*mqttClient
	running sync.WaitGroup
	mirrors
}

var _ Crowd = (*MQTT)(nil)

type mqttClient struct {
	crowd  *MQTT
	index  int
	conn   net.Conn
	ended  chan struct{}
	mirror *mirror
}

// NewMQTT connects nobody.
func NewMQTT(to netip.AddrPort, n int) *MQTT {
	s := &MQTT{to: to, mirrors: newMirrors()}
	for i := range n {
		s.clients = append(s.clients, &mqttClient{crowd: s, index: i})
	}
	return s
}

// Kinds of packets, with their flags (3.1.1, section 2.2).
const (
	mqttConnect    = 0x10
	mqttPublish    = 0x30
	mqttRetained   = 0x31
	mqttSubscribe  = 0x82
	mqttSuback     = 0x90
	mqttDisconnect = 0xe0
)

const mqttTopics = "roster/"

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func mqttPacket(kind byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...)
}

// presence says whether a client is there.
func (c *mqttClient) presence(online bool) []byte {
	return mqttPacket(mqttRetained, append(mqttString(nil, mqttTopics+name(c.index)), mqttState(online)...))
}

func mqttState(online bool) string {
	if online {
		return "online"
	}
	return "gone"
}

// Login implements Crowd.
func (s *MQTT) Login(ctx context.Context, client int) error {
	c := s.clients[client]
	if err := c.login(ctx); err != nil {
		return fmt.Errorf("%w: %s was not logged in: %w", ErrLoad, name(client), err)
	}
	return nil
}

func (c *mqttClient) login(ctx context.Context) error {
	conn, err := dial(ctx, c.index, c.crowd.to)
	if err != nil {
		return err
	}
	c.conn, c.ended, c.mirror = conn, make(chan struct{}), new(mirror)
	connect := mqttString(nil, "MQTT")
	connect = append(connect, 4, 0x02|0x04|0x20, 0, 0) // clean session, a will that is retained; no keepalive
	connect = mqttString(connect, name(c.index))
	connect = mqttString(connect, mqttTopics+name(c.index))
	connect = mqttString(connect, mqttState(false))
	subscribe := append(mqttString([]byte{0, 1}, mqttTopics+"+"), 0)
	if _, err := conn.Write(slices.Concat(mqttPacket(mqttConnect, connect), mqttPacket(mqttSubscribe, subscribe))); err != nil {
		return err
	}
	subscribed := make(chan struct{})
	c.crowd.running.Go(func() { c.follow(subscribed) })
	select {
	case <-subscribed:
	case <-c.ended:
		return errors.New("the server closed the connection")
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = conn.Write(c.presence(true))
	c.crowd.enter(c.index, c.mirror)
	return err
}

// follow reads packets until the connection ends.
func (c *mqttClient) follow(subscribed chan<- struct{}) {
	defer close(c.ended)
	in := bufio.NewReaderSize(c.conn, 4<<10)
	var body []byte
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return
		}
		size, err := binary.ReadUvarint(in)
		if err != nil || size > 64<<10 {
			return
		}
		body = slices.Grow(body[:0], int(size))[:size]
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		switch {
		case kind == mqttSuback:
			close(subscribed)
		case kind&0xf0 == mqttPublish && len(body) > 2:
			end := min(2+int(binary.BigEndian.Uint16(body)), len(body))
			if other, ok := clientOf(bytes.TrimPrefix(body[2:end], []byte(mqttTopics))); ok {
				c.mirror.set(other, string(body[end:]) == mqttState(true))
			}
		}
	}
}

// Logout implements Crowd.
func (s *MQTT) Logout(client int) error {
	c := s.clients[client]
	s.leave(client)
	_, err := c.conn.Write(append(c.presence(false), mqttDisconnect, 0))
	<-c.ended // the server closes
	return errors.Join(err, c.conn.Close())
}

// Crash implements Crowd.
func (s *MQTT) Crash(client int) error {
	c := s.clients[client]
	s.leave(client)
	err := c.conn.Close()
	<-c.ended
	return err
}

// Close implements Crowd.
func (s *MQTT) Close() {
	for i, c := range s.clients {
		if c.conn != nil {
			_ = s.Crash(i)
		}
	}
	s.running.Wait()
}
