package pki

import (
	"bytes"
	"os"
)

// systemBundles are where distributions keep the roots that they trust.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Alpine
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL, Amazon Linux
	"/etc/ssl/ca-bundle.pem",             // SUSE
	"/etc/ssl/cert.pem",
}

// ContainerBundlePEM returns the roots that a container should trust: the CA first, then the host's, if it has any. The
// variables that name a bundle replace the one in the image, so the public roots have to be in it, too.
func (ca *CA) ContainerBundlePEM() []byte {
	bundle := ca.BundlePEM()
	for _, path := range systemBundles {
		system, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(system, []byte("BEGIN CERTIFICATE")) {
			continue
		}
		return append(bundle, system...)
	}
	return bundle
}
