package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/sigv4"
)

func parseSignature(r *http.Request) (*sigv4.Signature, error) { return sigv4.Parse(r) }

// errScope says that the credential scope names another region or service.
type errScope struct{ reason string }

func (e *errScope) Error() string { return e.reason }

// The ways in which a key is not accepted, beside ErrUnknownKey.
var (
	errWrongToken   = errors.New("the session token is not the one of the key")
	errExpiredToken = errors.New("the session token has expired")
	errPayloadHash  = errors.New("the payload hash is not the one of the body")
)

// authenticate verifies the signature and fills in who calls. sum is the hash of the body.
func (s *Server) authenticate(c *call, r *http.Request, sig *sigv4.Signature, sum [32]byte) error {
	cred, err := s.opts.Credentials.Credential(r.Context(), sig.AccessKey)
	if err != nil {
		return fmt.Errorf("look up access key %s: %w", sig.AccessKey, err)
	}
	if cred.SessionToken != sig.Token {
		return errWrongToken
	}
	now := s.opts.Now()
	if !cred.Expires.IsZero() && !now.Before(cred.Expires) {
		return errExpiredToken
	}
	payload := hex.EncodeToString(sum[:])
	if stated := r.Header.Get("X-Amz-Content-Sha256"); stated != "" && stated != payload {
		return errPayloadHash
	}
	if err := sig.Verify(r, payload, cred.Secret, now, &s.keys); err != nil {
		return err
	}
	if err := s.checkScope(c, sig); err != nil {
		return err
	}
	c.request = awsapi.Request{
		ID: c.id, Account: cred.Account, Region: s.opts.Region, Principal: cred.Principal, AccessKey: sig.AccessKey,
		SourceAddr: sourceAddr(r), UserAgent: r.UserAgent(), Host: r.Host,
	}
	if c.request.Account == "" {
		c.request.Account = s.opts.Account
	}
	return nil
}

// checkScope refuses another region: its resources would silently be made in this one. Services with one endpoint for
// all regions are called with any.
func (s *Server) checkScope(c *call, sig *sigv4.Signature) error {
	if c.svc == nil {
		return nil
	}
	if sig.Service != c.svc.SigningName {
		return &errScope{reason: fmt.Sprintf("Credential should be scoped to correct service: '%s'.", c.svc.SigningName)}
	}
	if sig.Region != s.opts.Region && !c.svc.Global {
		return &errScope{reason: fmt.Sprintf(
			"Credential should be scoped to a valid region, not '%s': this Neargate serves '%s'.", sig.Region, s.opts.Region)}
	}
	return nil
}
