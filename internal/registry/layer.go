package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
)

// Layer downloads are allowed by the URL alone (SigV4 in the query), for an hour, as ECR's are.
const (
	layerLifetime   = time.Hour
	amzDate         = "20060102T150405Z"
	signAlgorithm   = "AWS4-HMAC-SHA256"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// layerPath is /<4 hex>-<account>-<uuid>/<uuid>. ECR's UUIDs are names of objects; here the two hold the 32 bytes of the digest, so that no table
// is needed to find the blob.
var layerPath = regexp.MustCompile(`^/([0-9a-f]{4})-(\d{12})-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

// LayerSigner makes and checks the signed URLs of layer downloads.
type LayerSigner struct {
	Key   Key
	Scope model.Scope
	Clock *clock.Clock
}

// URL returns where a blob can be downloaded with the given method for the next hour.
func (s *LayerSigner) URL(method, repo string, d Digest) string {
	now := s.Clock.Now()
	host := model.LayerBucketHost(s.Scope.Region)
	path := s.path(repo, d)
	query := url.Values{
		"X-Amz-Algorithm":     {signAlgorithm},
		"X-Amz-Credential":    {s.accessKey() + "/" + s.credentialScope(now)},
		"X-Amz-Date":          {now.Format(amzDate)},
		"X-Amz-Expires":       {strconv.Itoa(int(layerLifetime / time.Second))},
		"X-Amz-SignedHeaders": {"host"},
	}
	query.Set("X-Amz-Signature", s.signature(method, host, path, query, now))
	return "https://" + host + path + "?" + query.Encode()
}

// Check returns the blob that a request for a signed URL may have; what is wrong otherwise.
func (s *LayerSigner) Check(method, host, path string, query url.Values) (Digest, *layerError) {
	m := layerPath.FindStringSubmatch(path)
	if m == nil || m[2] != s.Scope.Account {
		return "", &layerError{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
	}
	if !query.Has("X-Amz-Signature") {
		return "", &layerError{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
	}
	signed, err := time.Parse(amzDate, query.Get("X-Amz-Date"))
	seconds, serr := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || serr != nil || seconds < 0 || query.Get("X-Amz-Algorithm") != signAlgorithm ||
		query.Get("X-Amz-Credential") != s.accessKey()+"/"+s.credentialScope(signed) {
		return "", &layerError{Status: http.StatusBadRequest, Code: "AuthorizationQueryParametersError",
			Message: "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."}
	}
	unsigned := url.Values{}
	for k, v := range query {
		if k != "X-Amz-Signature" {
			unsigned[k] = v
		}
	}
	want := s.signature(method, host, path, unsigned, signed)
	if !hmac.Equal([]byte(want), []byte(query.Get("X-Amz-Signature"))) {
		return "", &layerError{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch",
			Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	}
	if s.Clock.Now().After(signed.Add(time.Duration(seconds) * time.Second)) {
		return "", &layerError{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Request has expired"}
	}
	return Digest(digestPrefix + strings.ReplaceAll(m[3]+m[4], "-", "")), nil
}

func (s *LayerSigner) path(repo string, d Digest) string {
	const shard = 4
	uuid := func(h string) string { return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32] }
	h := d.Hex()
	return "/" + DigestOf([]byte(repo)).Hex()[:shard] + "-" + s.Scope.Account + "-" + uuid(h[:32]) + "/" + uuid(h[32:])
}

func (s *LayerSigner) accessKey() string {
	const digits = 16
	return "AKIA" + strings.ToUpper(hex.EncodeToString(s.Key.derive("layer access key"))[:digits])
}

func (s *LayerSigner) credentialScope(t time.Time) string {
	return t.Format("20060102") + "/" + s.Scope.Region + "/s3/aws4_request"
}

// signature computes SigV4 of a presigned request that signs the host header only.
func (s *LayerSigner) signature(method, host, path string, query url.Values, t time.Time) string {
	canonical := strings.Join([]string{
		method, path, strings.ReplaceAll(query.Encode(), "+", "%20"), "host:" + host + "\n", "host", unsignedPayload,
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{signAlgorithm, t.Format(amzDate), s.credentialScope(t), hex.EncodeToString(sum[:])}, "\n")
	key := append([]byte("AWS4"), s.Key.derive("layer secret key")...)
	for _, part := range []string{t.Format("20060102"), s.Scope.Region, "s3", "aws4_request", toSign} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// layerError is an error in S3's form.
type layerError struct {
	XMLName   xml.Name `xml:"Error"`
	Status    int      `xml:"-"`
	Code      string
	Message   string
	RequestID string `xml:"RequestId"`
}

// LayerHandler serves the layer bucket's host: downloads of blobs by signed URL, with ranges. It is no S3: nothing else is there.
type LayerHandler struct {
	Blobs  *Blobs
	Signer *LayerSigner
	Log    *slog.Logger
}

// ServeHTTP answers GET and HEAD of a signed URL.
func (h *LayerHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "AmazonS3")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.fail(w, r, &layerError{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed",
			Message: "The specified method is not allowed against this resource."})
		return
	}
	d, lerr := h.Signer.Check(r.Method, hostOnly(r.Host), r.URL.Path, r.URL.Query())
	if lerr != nil {
		h.fail(w, r, lerr)
		return
	}
	f, err := h.Blobs.openAny(d)
	if errors.Is(err, ErrNoBlob) {
		h.fail(w, r, &layerError{Status: http.StatusNotFound, Code: "NoSuchKey", Message: "The specified key does not exist."})
		return
	}
	if err != nil {
		h.Log.ErrorContext(r.Context(), "open layer", "digest", d, "error", err)
		h.fail(w, r, &layerError{Status: http.StatusInternalServerError, Code: "InternalError",
			Message: "We encountered an internal error. Please try again."})
		return
	}
	defer func() { _ = f.Close() }()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+d.Hex()[:32]+`"`)
	w.Header().Set("X-Amz-Request-Id", model.Hex(16))
	info, err := f.Stat()
	if err != nil {
		h.Log.ErrorContext(r.Context(), "stat layer", "digest", d, "error", err)
		return
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
}

func (h *LayerHandler) fail(w http.ResponseWriter, r *http.Request, e *layerError) {
	e.RequestID = model.Hex(16)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", e.RequestID)
	w.WriteHeader(e.Status)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(e) // the client may be gone
}

// hostOnly returns a host without its port.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}
