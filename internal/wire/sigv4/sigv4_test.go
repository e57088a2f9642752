package sigv4_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/neargate/neargate/internal/wire/sigv4"
)

var signedAt = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const secret = "secret"

// received returns the request as a server sees it.
func received(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func signed(t *testing.T, method, url, body, service string, change func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if change != nil {
		change(r)
	}
	creds := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret, SessionToken: "token/+="}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if err := signer.SignHTTP(t.Context(), creds, r, hash(body), service, "us-east-1", signedAt); err != nil {
		t.Fatal(err)
	}
	return received(t, r)
}

func TestVerifyAcceptsSDKSignatures(t *testing.T) {
	cases := map[string]struct {
		method, url, body, service string
		change                     func(*http.Request)
	}{
		"json":            {method: "POST", url: "http://127.0.0.1:4566/", body: "{}", service: "ecs", change: func(r *http.Request) { r.Header.Set("X-Amz-Target", "A.B") }},
		"form":            {method: "POST", url: "http://ec2.us-east-1.amazonaws.com/", body: "Action=DescribeVpcs", service: "ec2"},
		"query":           {method: "GET", url: "http://h/?b=2&a=1&a=0&a-b=x&c=a%20b%2Bc&d", service: "sts"},
		"path":            {method: "GET", url: "http://h/a%20b/c:d/%C3%A4", service: "apigateway"},
		"s3 path":         {method: "GET", url: "http://h/bucket/a%20b/c:d/%C3%A4", service: "s3"},
		"spaces in value": {method: "POST", url: "http://h/", service: "ecs", change: func(r *http.Request) { r.Header.Set("X-Amz-Meta", "  a   b ") }},
		"two values":      {method: "POST", url: "http://h/", service: "ecs", change: func(r *http.Request) { r.Header["X-Amz-Meta"] = []string{"b", "a"} }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := signed(t, c.method, c.url, c.body, c.service, c.change)
			s, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if s.AccessKey != "AKID" || s.Service != c.service || s.Region != "us-east-1" || s.Token != "token/+=" {
				t.Errorf("parsed %+v", s)
			}
			if err := s.Verify(r, hash(c.body), secret, signedAt.Add(4*time.Minute), &sigv4.Keys{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(*http.Request)
		body   string
		secret string
		now    time.Time
		want   error
	}{
		"other secret": {secret: "other", want: sigv4.ErrMismatch},
		"other body":   {body: "{ }", want: sigv4.ErrMismatch},
		"other host":   {change: func(r *http.Request) { r.Host = "evil" }, want: sigv4.ErrMismatch},
		"other header": {change: func(r *http.Request) { r.Header.Set("X-Amz-Target", "A.C") }, want: sigv4.ErrMismatch},
		"other query":  {change: func(r *http.Request) { r.URL.RawQuery = "x=1" }, want: sigv4.ErrMismatch},
		"old":          {now: signedAt.Add(5*time.Minute + time.Second), want: sigv4.ErrExpired},
		"future":       {now: signedAt.Add(-5*time.Minute - time.Second), want: sigv4.ErrExpired},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := signed(t, "POST", "http://h/", "{}", "ecs", func(r *http.Request) { r.Header.Set("X-Amz-Target", "A.B") })
			s, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(r)
			}
			key, now, body := secret, signedAt, "{}"
			if c.secret != "" {
				key = c.secret
			}
			if !c.now.IsZero() {
				now = c.now
			}
			if c.body != "" {
				body = c.body
			}
			if err := s.Verify(r, hash(body), key, now, &sigv4.Keys{}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestPresigned(t *testing.T) {
	r, _ := http.NewRequest("GET", "http://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=600", nil)
	creds := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret}
	url, _, err := v4.NewSigner().PresignHTTP(t.Context(), creds, r, sigv4.EmptyHash, "sts", "us-east-1", signedAt)
	if err != nil {
		t.Fatal(err)
	}
	r, _ = http.NewRequest("GET", url, nil)
	r = received(t, r)
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, sigv4.EmptyHash, secret, signedAt.Add(10*time.Minute), &sigv4.Keys{}); err != nil {
		t.Error(err)
	}
	if err := s.Verify(r, sigv4.EmptyHash, secret, signedAt.Add(10*time.Minute+time.Second), &sigv4.Keys{}); !errors.Is(err, sigv4.ErrExpired) {
		t.Errorf("after its life: %v", err)
	}
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "GetCallerIdentity", "GetSessionToken", 1)
	if err := s.Verify(r, sigv4.EmptyHash, secret, signedAt, &sigv4.Keys{}); !errors.Is(err, sigv4.ErrMismatch) {
		t.Errorf("changed: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	scope := "AKID/20260304/us-east-1/ecs/aws4_request"
	cases := map[string]struct {
		auth string
		date string
	}{
		"basic":              {auth: "Basic dGVzdA==", date: "20260304T050607Z"},
		"no pairs":           {auth: "AWS4-HMAC-SHA256 x", date: "20260304T050607Z"},
		"no signature":       {auth: "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host;x-amz-date", date: "20260304T050607Z"},
		"short scope":        {auth: "AWS4-HMAC-SHA256 Credential=AKID/20260304/us-east-1/ecs, SignedHeaders=host;x-amz-date, Signature=0", date: "20260304T050607Z"},
		"no date":            {auth: "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host, Signature=0"},
		"other date":         {auth: "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host;x-amz-date, Signature=0", date: "20260305T050607Z"},
		"host unsigned":      {auth: "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=x-amz-date, Signature=0", date: "20260304T050607Z"},
		"x-amz-... unsigned": {auth: "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host, Signature=0", date: "20260304T050607Z"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, _ := http.NewRequest("POST", "http://h/", nil)
			r.Header.Set("Authorization", c.auth)
			if c.date != "" {
				r.Header.Set("X-Amz-Date", c.date)
			}
			var bad *sigv4.MalformedError
			if _, err := sigv4.Parse(r); !errors.As(err, &bad) {
				t.Errorf("got %v", err)
			}
		})
	}
	r, _ := http.NewRequest("POST", "http://h/", nil)
	if _, err := sigv4.Parse(r); !errors.Is(err, sigv4.ErrMissing) {
		t.Errorf("unsigned: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKID/20260304/us-east-1/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=0", "20260304T050607Z", "a=b")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID/20260304/us-east-1/ecs/aws4_request&X-Amz-Date=20260304T050607Z&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=%zz")
	f.Fuzz(func(t *testing.T, auth, date, query string) {
		r, err := http.NewRequest("POST", "http://h/a", nil)
		if err != nil {
			t.Skip()
		}
		r.Header.Set("Authorization", auth)
		r.Header.Set("X-Amz-Date", date)
		r.URL.RawQuery = query
		s, err := sigv4.Parse(r)
		if err != nil {
			return
		}
		if err := s.Verify(r, sigv4.EmptyHash, "not the secret", signedAt, &sigv4.Keys{}); !errors.Is(err, sigv4.ErrMismatch) {
			t.Errorf("a made-up signature: %v", err)
		}
	})
}
