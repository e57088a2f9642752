package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// EmptyHash is the hash of no body at all.
const EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Keys remembers signing keys, which cost four HMACs each and are the same all day.
type Keys struct {
	mu   sync.Mutex
	keys map[keyID][]byte
}

type keyID struct{ secret, date, region, service string }

// maxKeys bounds the memory of Keys; when it is full, it starts anew.
const maxKeys = 1024

func (k *Keys) get(id keyID) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.keys[id]; ok {
		return key
	}
	if k.keys == nil || len(k.keys) >= maxKeys {
		k.keys = map[keyID][]byte{}
	}
	key := sum([]byte("AWS4"+id.secret), id.date)
	for _, part := range []string{id.region, id.service, "aws4_request"} {
		key = sum(key, part)
	}
	k.keys[id] = key
	return key
}

func sum(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

// Verify checks that the request was signed with the secret, and not too long ago. payload is the hex SHA-256 of the
// body as it was sent, or what the service allows instead ("UNSIGNED-PAYLOAD"). The error is ErrMismatch or ErrExpired.
func (s *Signature) Verify(r *http.Request, payload, secret string, now time.Time, keys *Keys) error {
	key := keys.get(keyID{secret: secret, date: s.Date, region: s.Region, service: s.Service})
	want := hex.EncodeToString(sum(key, s.stringToSign(r, payload)))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.signature)) != 1 {
		return ErrMismatch
	}
	life := skew
	if s.Presigned {
		life = s.Expires
	}
	if now.After(s.Time.Add(life)) || s.Time.After(now.Add(skew)) {
		return ErrExpired
	}
	return nil
}

func (s *Signature) stringToSign(r *http.Request, payload string) string {
	hashed := sha256.Sum256([]byte(s.canonicalRequest(r, payload)))
	var b strings.Builder
	b.WriteString(algorithm + "\n" + s.Time.Format(timeFormat) + "\n")
	b.WriteString(s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request\n")
	b.WriteString(hex.EncodeToString(hashed[:]))
	return b.String()
}

func (s *Signature) canonicalRequest(r *http.Request, payload string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n")
	writePath(&b, r.URL.EscapedPath(), s.Service)
	b.WriteByte('\n')
	writeQuery(&b, r.URL.RawQuery)
	b.WriteByte('\n')
	for _, name := range s.signedHeaders {
		b.WriteString(name + ":")
		writeHeader(&b, r, name)
		b.WriteByte('\n')
	}
	b.WriteString("\n" + strings.Join(s.signedHeaders, ";") + "\n" + payload)
	return b.String()
}

// writePath writes the path; every service but S3 escapes it a second time.
func writePath(b *strings.Builder, path, service string) {
	switch {
	case path == "" || path == "/":
		b.WriteByte('/')
	case service == "s3":
		b.WriteString(path)
	default:
		writeEscaped(b, path, true)
	}
}

func writeQuery(b *strings.Builder, raw string) {
	if raw == "" {
		return
	}
	var pairs []string
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		if unescape(k) == "X-Amz-Signature" {
			continue
		}
		var p strings.Builder
		writeEscaped(&p, unescape(k), false)
		p.WriteByte('=')
		writeEscaped(&p, unescape(v), false)
		pairs = append(pairs, p.String())
	}
	slices.SortFunc(pairs, comparePairs)
	b.WriteString(strings.Join(pairs, "&"))
}

// comparePairs orders by name, then by value: '=' must not take part, as "a-b" sorts before "a=".
func comparePairs(x, y string) int {
	xk, xv, _ := strings.Cut(x, "=")
	yk, yv, _ := strings.Cut(y, "=")
	if c := strings.Compare(xk, yk); c != 0 {
		return c
	}
	return strings.Compare(xv, yv)
}

func writeHeader(b *strings.Builder, r *http.Request, name string) {
	switch name {
	case "host":
		// Go takes Host out of the headers.
		b.WriteString(r.Host)
		return
	case "content-length":
		if r.Header.Get("Content-Length") == "" && r.ContentLength >= 0 {
			b.WriteString(strconv.FormatInt(r.ContentLength, 10))
			return
		}
	case "transfer-encoding":
		b.WriteString(strings.Join(r.TransferEncoding, ","))
		return
	}
	for i, value := range r.Header.Values(name) {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.Contains(value, "  ") {
			value = strings.Join(strings.Fields(value), " ")
		}
		b.WriteString(strings.TrimSpace(value))
	}
}

const upperHex = "0123456789ABCDEF"

func writeEscaped(b *strings.Builder, s string, isPath bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~', c == '/' && isPath:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
}

// unescape decodes what is valid and keeps the rest, so that a broken query is still compared as it was sent.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(fromHex(s[i+1])<<4 | fromHex(s[i+2]))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func fromHex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}
