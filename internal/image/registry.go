package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/neargate/neargate/internal/container"
)

// acceptManifests are the kinds that we can run, in the order that containerd asks for them.
var acceptManifests = strings.Join([]string{
	string(types.DockerManifestSchema2), string(types.DockerManifestList), string(types.OCIManifestSchema1), string(types.OCIImageIndex), "*/*",
}, ", ")

// resolved is what a reference led to.
type resolved struct {
	digest   string // of the index or manifest that the reference names
	manifest container.Manifest
	unsure   bool // whether the manifest is of our platform
}

// resolve asks which manifest the reference means, by HEAD as containerd does, and reads it, going through an index to
// the manifest of our platform.
func (s *Session) resolve(ctx context.Context, ref Reference) (resolved, error) {
	digest, err := s.head(ctx, ref)
	if err != nil {
		return resolved{}, fmt.Errorf("failed to resolve ref %s: %w", ref.Canonical, err)
	}
	if image, err := s.opts.Runtime.Image(ctx, digest); err == nil && s.matches(image.OS, image.Architecture) {
		known := container.Manifest{Descriptor: container.Descriptor{Digest: digest}}
		return resolved{digest: digest, manifest: known}, nil // it is here: its bytes are not needed
	}
	raw, mediaType, err := s.manifest(ctx, ref, digest)
	if err != nil {
		return resolved{}, err
	}
	found := resolved{digest: digest}
	if types.MediaType(mediaType).IsIndex() {
		child, err := s.choose(raw)
		if err != nil {
			return resolved{}, err
		}
		if raw, mediaType, err = s.manifest(ctx, ref, child); err != nil {
			return resolved{}, err
		}
		digest = child
	}
	if !types.MediaType(mediaType).IsImage() {
		return resolved{}, &finalError{text: fmt.Sprintf("unsupported manifest media type %q", mediaType), kind: errUnusable}
	}
	found.manifest = container.Manifest{
		Descriptor: container.Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(raw))}, Raw: raw,
	}
	found.unsure = found.digest == digest // no index has said which platform it is
	return found, nil
}

// head returns the digest behind the reference.
func (s *Session) head(ctx context.Context, ref Reference) (string, error) {
	resp, err := s.do(ctx, http.MethodHead, ref, ref.url("manifests", ref.Identifier), "")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return "", fmt.Errorf("%s: not found", ref.Canonical)
	case resp.StatusCode == http.StatusTooManyRequests:
		return "", fmt.Errorf("toomanyrequests: Too Many Requests. (%s)", ref.Host)
	case resp.StatusCode/100 != 2:
		return "", fmt.Errorf("pulling from host %s failed with status code [manifests %s]: %s", ref.Host, ref.Identifier, resp.Status)
	}
	if ref.IsDigest {
		return ref.Identifier, nil
	}
	if digest := resp.Header.Get("Docker-Content-Digest"); digest != "" {
		if _, err := v1.NewHash(digest); err != nil {
			return "", fmt.Errorf("registry %s sent the digest %q: %w", ref.Host, digest, err)
		}
		return digest, nil
	}
	raw, _, err := s.get(ctx, ref, ref.Identifier) // some registries leave it out: count it ourselves
	return sum(raw), err
}

// manifest reads a manifest by its digest.
func (s *Session) manifest(ctx context.Context, ref Reference, digest string) (raw []byte, mediaType string, err error) {
	raw, mediaType, err = s.get(ctx, ref, digest)
	if err != nil {
		return nil, "", err
	}
	if got := sum(raw); got != digest {
		return nil, "", fmt.Errorf("manifest has digest %s, not %s", got, digest)
	}
	return raw, mediaType, nil
}

func (s *Session) get(ctx context.Context, ref Reference, id string) (raw []byte, mediaType string, err error) {
	resp, err := s.do(ctx, http.MethodGet, ref, ref.url("manifests", id), "")
	if err != nil {
		return nil, "", fmt.Errorf("failed to copy: httpReadSeeker: failed open: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", statusError(resp)
	}
	raw, err = io.ReadAll(io.LimitReader(resp.Body, maxManifestBytes))
	if err != nil {
		return nil, "", fmt.Errorf("failed to copy: %w", err)
	}
	// The document's own word counts more than the header's.
	var doc struct {
		MediaType string          `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, "", &finalError{text: fmt.Sprintf("manifest cannot be decoded: %v", err), kind: errUnusable}
	}
	mediaType, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case doc.MediaType != "":
		mediaType = doc.MediaType
	case len(doc.Manifests) > 0:
		mediaType = string(types.OCIImageIndex)
	case !types.MediaType(mediaType).IsImage():
		mediaType = string(types.OCIManifestSchema1)
	}
	return raw, mediaType, nil
}

// choose returns the digest of our platform's manifest.
func (s *Session) choose(raw []byte) (string, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return "", &finalError{text: fmt.Sprintf("image index cannot be decoded: %v", err), kind: errUnusable}
	}
	for _, m := range index.Manifests {
		if m.Platform != nil && m.Platform.OS == "linux" && m.Platform.Architecture == s.opts.Architecture {
			return m.Digest.String(), nil
		}
	}
	return "", s.platformError()
}

func (s *Session) platformError() error {
	return &finalError{kind: errPlatform,
		text: fmt.Sprintf("image Manifest does not contain descriptor matching platform 'linux/%s'", s.opts.Architecture)}
}

func (s *Session) matches(system, architecture string) bool {
	return system == "linux" && architecture == s.opts.Architecture
}

// checkPlatform looks into the configuration of an image that came without an index.
func (s *Session) checkPlatform(ctx context.Context, ref Reference, raw []byte) error {
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return &finalError{text: fmt.Sprintf("manifest cannot be decoded: %v", err), kind: errUnusable}
	}
	body, err := s.openBlob(ctx, ref, manifest.Config.Digest.String(), "")
	if err != nil {
		return err
	}
	defer body.Close()
	var config v1.ConfigFile
	if err := json.NewDecoder(io.LimitReader(body, maxManifestBytes)).Decode(&config); err != nil {
		return fmt.Errorf("failed to copy: httpReadSeeker: %w", err)
	}
	if !s.matches(config.OS, config.Architecture) {
		return s.platformError()
	}
	return nil
}

// openBlob opens a blob; the registry redirects to where it is stored. Go's client leaves the Authorization header
// behind when the host changes, as S3 demands.
func (s *Session) openBlob(ctx context.Context, ref Reference, digest, byteRange string) (io.ReadCloser, error) {
	resp, err := s.do(ctx, http.MethodGet, ref, ref.url("blobs", digest), byteRange)
	if err != nil {
		return nil, fmt.Errorf("failed to copy: httpReadSeeker: failed open: %w", err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		defer resp.Body.Close()
		return nil, statusError(resp)
	}
	return resp.Body, nil
}

func statusError(resp *http.Response) error {
	return fmt.Errorf("failed to copy: httpReadSeeker: failed open: unexpected status code %s: %s", withoutQuery(resp.Request.URL), resp.Status)
}

// withoutQuery leaves the signature of a presigned URL out of texts that many people may read.
func withoutQuery(u *url.URL) string {
	c := *u
	c.RawQuery = ""
	return c.String()
}

// do sends a request with what is known of the registry's authentication, and once more with an anonymous token if the
// registry asks for one.
func (s *Session) do(ctx context.Context, method string, ref Reference, target, byteRange string) (*http.Response, error) {
	resp, err := s.send(ctx, method, ref, target, byteRange)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	challenge := resp.Header.Get("Www-Authenticate")
	if ref.IsECR() || !strings.HasPrefix(strings.ToLower(challenge), "bearer ") {
		return resp, nil
	}
	resp.Body.Close()
	if err := s.anonymousToken(ctx, ref, challenge); err != nil {
		return nil, err
	}
	return s.send(ctx, method, ref, target, byteRange)
}

func (s *Session) send(ctx context.Context, method string, ref Reference, target, byteRange string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, requestError(err)
	}
	req.Header.Set("User-Agent", s.opts.UserAgent)
	req.Header.Set("Accept", acceptManifests)
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	s.mu.Lock()
	token := s.tokens[ref.Host]
	s.mu.Unlock()
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, requestError(hideQuery(err))
	}
	return resp, nil
}

// hideQuery removes the query from the URL that the HTTP client puts into its errors.
func hideQuery(err error) error {
	if e, ok := err.(*url.Error); ok { // it is what Do returns, never wrapped
		if u, parseErr := url.Parse(e.URL); parseErr == nil {
			e.URL = withoutQuery(u)
		}
	}
	return err
}

// anonymousToken follows the challenge of a public registry.
func (s *Session) anonymousToken(ctx context.Context, ref Reference, challenge string) error {
	params := challengeParams(challenge)
	realm, err := url.Parse(params["realm"])
	if err != nil || realm.Scheme != "https" {
		return requestError(fmt.Errorf("registry %s sent the challenge %q", ref.Host, challenge))
	}
	q := realm.Query()
	for _, key := range []string{"service", "scope"} {
		if params[key] != "" {
			q.Set(key, params[key])
		}
	}
	realm.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err != nil {
		return requestError(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return requestError(hideQuery(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("failed to authorize: failed to fetch anonymous token: unexpected status: %s", resp.Status)
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return fmt.Errorf("failed to authorize: failed to fetch anonymous token: %w", err)
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[ref.Host] = "Bearer " + answer.Token
	return nil
}

// challengeParams reads `Bearer realm="...",service="...",scope="..."`.
func challengeParams(challenge string) map[string]string {
	params := map[string]string{}
	_, rest, _ := strings.Cut(challenge, " ")
	for rest != "" {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(after, `"`) {
			value, after, _ = strings.Cut(after[1:], `"`)
			after = strings.TrimPrefix(after, ",")
		} else {
			value, after, _ = strings.Cut(after, ",")
		}
		params[strings.ToLower(strings.Trim(key, " ,"))] = value
		rest = after
	}
	return params
}

func sum(raw []byte) string {
	h := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(h[:])
}
