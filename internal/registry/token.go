package registry

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// PasswordLifetime is how long an authorization token is valid, as on AWS.
const PasswordLifetime = 12 * time.Hour

// Errors of passwords.
var (
	ErrBadPassword     = errors.New("not a password of this registry")
	ErrExpiredPassword = errors.New("password has expired")
)

// keySize is the size of the registry's secret.
const keySize = 32

// Key is the registry's secret. Passwords and the signatures of layer downloads are derived from it, so that both are checked without a record
// and survive a restart.
type Key []byte

// LoadKey reads the secret from a file, and makes it when there is none.
func LoadKey(path string) (Key, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == keySize {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the registry's key: %w", err)
	}
	key = make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	if err := writeDurably(path, key); err != nil {
		return nil, fmt.Errorf("write the registry's key: %w", err)
	}
	return key, nil
}

// derive returns a key for one purpose.
func (k Key) derive(purpose string) []byte {
	h := hmac.New(sha256.New, k)
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

const passwordPurpose = "registry password"

// Password returns the password of a principal and when it ends. It consists of letters, digits, '-' and '_' only: `AWS:<password>` in base64
// then has neither '+' nor '/', and reads the same to clients that decode the URL-safe alphabet (Terraform) and to those that do not.
func (k Key) Password(principal string, now time.Time) (password string, expires time.Time) {
	expires = now.Add(PasswordLifetime).Truncate(time.Second)
	body := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	body = append(body, principal...)
	h := hmac.New(sha256.New, k.derive(passwordPurpose))
	h.Write(body)
	return base64.RawURLEncoding.EncodeToString(h.Sum(body)), expires
}

// Principal returns whose password it is.
func (k Key) Principal(password string, now time.Time) (string, error) {
	const timeSize = 8
	b, err := base64.RawURLEncoding.DecodeString(password)
	if err != nil || len(b) < timeSize+sha256.Size {
		return "", ErrBadPassword
	}
	body, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	h := hmac.New(sha256.New, k.derive(passwordPurpose))
	h.Write(body)
	if !hmac.Equal(mac, h.Sum(nil)) {
		return "", ErrBadPassword
	}
	if now.Unix() >= int64(binary.BigEndian.Uint64(body)) {
		return "", ErrExpiredPassword
	}
	return string(body[timeSize:]), nil
}
