package wire

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// errTooLarge says that a body is larger than the server accepts.
var errTooLarge = errors.New("the request body is too large")

// errEncoding says that a body cannot be decompressed.
var errEncoding = errors.New("the content encoding of the request body is not supported or broken")

// readBody returns the body, decompressed, and the hash of what was sent, which is what is signed.
func (s *Server) readBody(r *http.Request) ([]byte, [32]byte, error) {
	raw, err := readLimited(r.Body, r.ContentLength, s.opts.MaxBody)
	if err != nil {
		return nil, [32]byte{}, err
	}
	sum := sha256.Sum256(raw)
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return raw, sum, nil
	case "gzip":
		zr, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, sum, errEncoding
		}
		body, err := readLimited(zr, -1, s.opts.MaxBody)
		if errors.Is(err, errTooLarge) {
			return nil, sum, err
		} else if err != nil {
			return nil, sum, errEncoding
		}
		return body, sum, nil
	default:
		return nil, sum, errEncoding
	}
}

func readLimited(r io.Reader, size, limit int64) ([]byte, error) {
	if r == nil || size == 0 {
		return nil, nil
	}
	if size > limit {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	if size > 0 {
		b.Grow(int(min(size, 1<<20)) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	if n > limit {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}
