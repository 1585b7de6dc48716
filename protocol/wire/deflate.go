package wire

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// CapabilityDeflate, among a Hello's capabilities, is that of ToClient.deflate: a
// frame that holds another one, compressed (RFC 1951):
//
//	offset  size  field
//	0       4     n, the size of what follows, big-endian
//	4       1     5a, the field
//	5       1-3   m, the size of what follows, a varint
//	6-8     m     a ToClient of at most MaxToClient bytes, compressed
//
// What goes like this is a roster, all of which each of its readers may see: who
// measures how long it is learns nothing from the words that it chose itself.
const CapabilityDeflate = "deflate"

// toClientDeflate is the number of the field ToClient.deflate.
const toClientDeflate = 11

// AppendCompressed appends a row of frames of ToClient to dst, each as a frame
// that holds it.
func AppendCompressed(dst, frames []byte) []byte {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	for len(frames) > 0 && err == nil {
		end := headerSize + binary.BigEndian.Uint32(frames)
		packed.Reset()
		w.Reset(&packed)
		if _, err = w.Write(frames[headerSize:end]); err == nil {
			err = w.Close()
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(1+protowire.SizeBytes(packed.Len())))
		dst = protowire.AppendTag(dst, toClientDeflate, protowire.BytesType)
		dst = protowire.AppendBytes(dst, packed.Bytes())
		frames = frames[end:]
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return dst
}

// Decompress makes m the message that it holds compressed, if it holds one. The
// error is ErrFrameSize or ErrFrameContent.
func Decompress(m *ToClient) error {
	packed, ok := m.GetBody().(*ToClient_Deflate)
	if !ok {
		return nil
	}
	body, err := DecompressBytes(packed.Deflate)
	if err != nil {
		return err
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
		return fmt.Errorf("%w: compressed: %w", ErrFrameContent, err)
	}
	if _, nested := m.GetBody().(*ToClient_Deflate); nested {
		return fmt.Errorf("%w: compressed twice", ErrFrameContent)
	}
	return nil
}

// DecompressBytes returns the encoded ToClient of a field ToClient.deflate. What
// stands behind the compressed bytes' end is ignored.
func DecompressBytes(packed []byte) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), MaxToClient+1))
	if err != nil {
		return nil, fmt.Errorf("%w: compressed: %w", ErrFrameContent, err)
	}
	if len(body) > MaxToClient {
		return nil, fmt.Errorf("%w: more than %d bytes come out of it", ErrFrameSize, MaxToClient)
	}
	return body, nil
}
