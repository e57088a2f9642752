// Package sigv4 reads and verifies AWS Signature Version 4 on incoming requests, in the Authorization header and in
// presigned URLs.
//
// It does not sign, does not know keys (the caller looks the secret up), and does not word errors for a service.
// Start at [Parse], then [Signature.Verify].
package sigv4

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// maxExpires is the longest life of a presigned URL on AWS.
	maxExpires = 7 * 24 * time.Hour
	// defaultExpires is the life of one that states none.
	defaultExpires = 15 * time.Minute
	// skew is how far the client's clock may be off.
	skew = 5 * time.Minute
)

// The ways in which a signature is not accepted, beside [MalformedError].
var (
	ErrMissing  = errors.New("the request has no signature")
	ErrMismatch = errors.New("the signature is not the one that was calculated")
	ErrExpired  = errors.New("the signature is too old or from the future")
)

// MalformedError says what is wrong with the form of a signature.
type MalformedError struct{ Reason string }

// Error returns the reason.
func (e *MalformedError) Error() string { return e.Reason }

func malformed(format string, args ...any) error {
	return &MalformedError{Reason: fmt.Sprintf(format, args...)}
}

// Signature is the signature that a request carries.
type Signature struct {
	AccessKey string
	Date      string // YYYYMMDD of the credential scope
	Region    string
	Service   string
	Time      time.Time
	Expires   time.Duration // presigned only
	Token     string        // session token
	Presigned bool

	signedHeaders []string // lower case, sorted
	signature     string
}

// IsSigned reports whether the request carries something that looks like a signature.
func IsSigned(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=") ||
		strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=")
}

// Parse reads the signature of a request. The error is ErrMissing or a *MalformedError.
func Parse(r *http.Request) (*Signature, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return parseHeader(header, r.Header)
	}
	if !IsSigned(r) {
		return nil, ErrMissing
	}
	return parseQuery(r.URL.Query(), r.Header)
}

func parseHeader(value string, headers http.Header) (*Signature, error) {
	name, rest, _ := strings.Cut(value, " ")
	if name != algorithm {
		return nil, malformed("The authorization mechanism %q is not supported. Please use %s.", name, algorithm)
	}
	var s Signature
	var credential, signed string
	for part := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, malformed("'%s' not a valid key=value pair (missing equal-sign) in Authorization header.", part)
		}
		switch k {
		case "Credential":
			credential = v
		case "SignedHeaders":
			signed = v
		case "Signature":
			s.signature = v
		}
	}
	for _, need := range []struct{ name, value string }{
		{"Credential", credential}, {"Signature", s.signature}, {"SignedHeaders", signed},
	} {
		if need.value == "" {
			return nil, malformed("Authorization header requires '%s' parameter.", need.name)
		}
	}
	s.Token = headers.Get("X-Amz-Security-Token")
	date := headers.Get("X-Amz-Date")
	if date == "" {
		return nil, malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	return s.finish(credential, signed, date, headers)
}

func parseQuery(q url.Values, headers http.Header) (*Signature, error) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if q.Get(name) == "" {
			return nil, malformed("AWS query-string parameters must include '%s'.", name)
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, malformed("Unsupported AWS 'algorithm': '%s'.", q.Get("X-Amz-Algorithm"))
	}
	expires := defaultExpires
	if text := q.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 || seconds > int(maxExpires/time.Second) {
			return nil, malformed("X-Amz-Expires must be a number of seconds of at most a week.")
		}
		expires = time.Duration(seconds) * time.Second
	}
	s := Signature{
		Presigned: true, Expires: expires,
		Token: q.Get("X-Amz-Security-Token"), signature: q.Get("X-Amz-Signature"),
	}
	return s.finish(q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Date"), headers)
}

// finish reads the parts that both ways share.
func (s *Signature) finish(credential, signed, date string, headers http.Header) (*Signature, error) {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return nil, malformed("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got '%s'.", credential)
	}
	s.AccessKey, s.Date, s.Region, s.Service = scope[0], scope[1], scope[2], scope[3]
	var err error
	if s.Time, err = time.Parse(timeFormat, date); err != nil {
		return nil, malformed("Date must be in ISO-8601 'basic format'. Got '%s'.", date)
	}
	if s.Date != date[:8] {
		return nil, malformed("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: '%s' != '%s'.", s.Date, date[:8])
	}
	s.signedHeaders = strings.Split(strings.ToLower(signed), ";")
	slices.Sort(s.signedHeaders)
	if !slices.Contains(s.signedHeaders, "host") {
		return nil, malformed("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range headers {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.signedHeaders, lower) {
			return nil, malformed("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return s, nil
}
