package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// TLSConfig returns a configuration that presents a certificate for any server name that allowed accepts. A client that
// sends no name, or another one, is turned away.
func (ca *CA) TLSConfig(allowed func(host string) bool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
			if name == "" {
				return nil, errors.New("the client names no server")
			}
			if !allowed(name) {
				return nil, fmt.Errorf("no certificate for %q", name)
			}
			return ca.Certificate(name)
		},
	}
}

// Certificate returns a certificate with its key for a server name or an IP address: a cached one, or a new one when
// there is none or its end is near.
func (ca *CA) Certificate(name string) (*tls.Certificate, error) {
	now := ca.now()
	ca.mu.Lock()
	l := ca.leaves[name]
	if l == nil || now.After(l.ends.Add(-renewBefore)) {
		if len(ca.leaves) >= maxLeaves {
			ca.leaves = map[string]*leaf{}
		}
		l = &leaf{ends: now.Add(leafLife)}
		ca.leaves[name] = l
	}
	ca.mu.Unlock()
	// Outside the lock: a hundred tasks that start together wait for one certificate, and only those who want it.
	l.once.Do(func() { l.cert, l.err = ca.issue(name, now, l.ends) })
	if l.err != nil {
		ca.mu.Lock()
		if ca.leaves[name] == l {
			delete(ca.leaves, name)
		}
		ca.mu.Unlock()
	}
	return l.cert, l.err
}

func (ca *CA) issue(name string, now, ends time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key for %s: %w", name, err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: now.Add(-backdate), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if len(name) <= 64 { // the longest common name that X.509 allows
		template.Subject = pkix.Name{CommonName: name}
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate for %s: %w", name, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate for %s: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, nil
}
