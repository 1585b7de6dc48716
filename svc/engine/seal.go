package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
)

// seal is a small file beside the store that says how far the store has been
// answered from. A store that doesn't reach that far has lost its end.
//
// It has two places, written in turn, so that a write that is cut short by a
// power cut leaves the other one:
//
//	"earshot" 1 | generation, 8 bytes | sequence of accounts, 8 | of invites, 8 | SHA-256 of that
type seal struct {
	file       *os.File
	generation uint64
	at         positions
}

// positions are the sequences of the latest records of the tables.
type positions struct{ accounts, invites uint64 }

const (
	sealMagic = "earshot\x01"
	sealBody  = len(sealMagic) + 3*8
	sealSize  = sealBody + sha256.Size
	sealPlace = 4096 // no two of them in one sector or page
)

// createSeal makes the file of a store in which nothing is yet.
func createSeal(path string) error {
	s := seal{generation: 1}
	return replaceFile(path, append(make([]byte, sealPlace), s.encode()...))
}

func openSeal(path string) (*seal, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s := new(seal)
	for _, from := range []int{0, sealPlace} {
		if len(content) < from+sealSize {
			continue
		}
		place := content[from : from+sealSize]
		sum := sha256.Sum256(place[:sealBody])
		if !bytes.Equal(sum[:], place[sealBody:]) || string(place[:len(sealMagic)]) != sealMagic {
			continue
		}
		numbers := place[len(sealMagic):]
		if g := binary.BigEndian.Uint64(numbers); g > s.generation {
			s.generation = g
			s.at = positions{binary.BigEndian.Uint64(numbers[8:]), binary.BigEndian.Uint64(numbers[16:])}
		}
	}
	if s.generation == 0 {
		return nil, fmt.Errorf("%w: %s can't be read", ErrDamaged, path)
	}
	if s.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return s, nil
}

func (s *seal) encode() []byte {
	b := []byte(sealMagic)
	b = binary.BigEndian.AppendUint64(b, s.generation)
	b = binary.BigEndian.AppendUint64(b, s.at.accounts)
	b = binary.BigEndian.AppendUint64(b, s.at.invites)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// set writes new positions and returns when they are on the disk.
func (s *seal) set(at positions) error {
	s.generation, s.at = s.generation+1, at
	_, err := s.file.WriteAt(s.encode(), int64(s.generation%2)*sealPlace)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrStore, err)
	}
	return nil
}
