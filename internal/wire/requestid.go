package wire

import (
	"crypto/rand"
	"encoding/hex"
)

// newRequestID returns a random UUID, as request ids of AWS are.
func newRequestID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var id [36]byte
	at := 0
	for i, b := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			id[at] = '-'
			at++
		}
		hex.Encode(id[at:], []byte{b})
		at += 2
	}
	return string(id[:])
}
