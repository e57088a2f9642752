// Package pki is the Neargate CA: the certificates under which AWS service names answer inside a VPC.
//
// The CA is made once per data folder; leaf certificates are issued on demand per server name and live in memory only.
// It signs nothing but server certificates and knows no AWS service: which names it may issue for is the caller's
// decision. Start at [Open].
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	certFile = "ca.pem"
	keyFile  = "ca-key.pem"

	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	// renewBefore leaves clients that resume sessions and clocks that differ some room.
	renewBefore = 30 * 24 * time.Hour
	// backdate lets a certificate be used at once by a client whose clock is behind.
	backdate = time.Hour
	// maxLeaves bounds the memory of the cache; there are some tens of service names.
	maxLeaves = 4096
)

// CA issues server certificates.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	now  func() time.Time

	mu     sync.Mutex
	leaves map[string]*leaf
}

type leaf struct {
	once sync.Once
	cert *tls.Certificate
	err  error
	ends time.Time
}

// Open returns the CA of a folder, which is made with a new CA if there is none. The key is readable by its owner only.
func Open(dir string) (*CA, error) { return open(dir, time.Now) }

func open(dir string, now func() time.Time) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make pki folder: %w", err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return create(dir, now)
	} else if err != nil {
		return nil, fmt.Errorf("read CA key: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("parse CA key %s: %w", filepath.Join(dir, keyFile), err)
	}
	certPEM, err := os.ReadFile(filepath.Join(dir, certFile))
	if errors.Is(err, fs.ErrNotExist) {
		// The daemon died between the two files: the key has signed nothing yet.
		return certify(dir, key, now)
	} else if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	ca, err := load(certPEM, key, now)
	if err != nil {
		return nil, fmt.Errorf("load CA certificate %s: %w", filepath.Join(dir, certFile), err)
	}
	if now().After(ca.cert.NotAfter.Add(-leafLife)) {
		// A leaf must not outlive its CA. Tasks that run keep the old bundle, with the same key and name.
		return certify(dir, key, now)
	}
	return ca, nil
}

func create(dir string, now func() time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode CA key: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeFile(filepath.Join(dir, keyFile), block, 0o600); err != nil {
		return nil, fmt.Errorf("write CA key: %w", err)
	}
	return certify(dir, key, now)
}

// certify makes the CA certificate of a key.
func certify(dir string, key *ecdsa.PrivateKey, now func() time.Time) (*CA, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Neargate CA", Organization: []string{"Neargate"}},
		NotBefore:    now().Add(-backdate), NotAfter: now().Add(caLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign CA certificate: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := writeFile(filepath.Join(dir, certFile), block, 0o644); err != nil {
		return nil, fmt.Errorf("write CA certificate: %w", err)
	}
	return load(block, key, now)
}

func load(certPEM []byte, key *ecdsa.PrivateKey, now func() time.Time) (*CA, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the certificate does not belong to the key")
	}
	return &CA{cert: cert, key: key, pem: certPEM, now: now, leaves: map[string]*leaf{}}, nil
}

func parseKey(keyPEM []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("is a %T, not an ECDSA key", parsed)
	}
	return key, nil
}

// BundlePEM returns the certificate of the CA.
func (ca *CA) BundlePEM() []byte { return bytes.Clone(ca.pem) }

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return serial, nil
}
