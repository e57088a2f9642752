package registry

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/model"
)

// manifest serves /v2/<repository>/manifests/<tag or digest>.
func (h *Handler) manifest(w http.ResponseWriter, r *http.Request, t target) error {
	_, isDigest := ParseDigest(t.ref)
	switch valid := isDigest || IsTag(t.ref); {
	case !valid && r.Method == http.MethodPut && strings.Contains(t.ref, ":"):
		return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "'" + t.ref + "' is not a sha256 digest"}
	case !valid && r.Method == http.MethodPut:
		return &apiError{status: http.StatusBadRequest, Code: "TAG_INVALID", Message: "'" + t.ref + "' cannot be a tag"}
	case !valid:
		return &apiError{status: http.StatusNotFound, Code: "MANIFEST_UNKNOWN", Message: "Requested image not found"}
	}
	switch r.Method {
	case http.MethodHead:
		img, err := h.Registry.Find(r.Context(), t.repo, t.ref)
		if err != nil {
			return err
		}
		manifestHeaders(w, img)
		w.WriteHeader(http.StatusOK)
		return nil
	case http.MethodGet:
		img, content, err := h.Registry.Get(r.Context(), t.repo, t.ref)
		if err != nil {
			return err
		}
		manifestHeaders(w, img)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(content) // the client may be gone
		return nil
	case http.MethodPut:
		return h.putManifest(w, r, t)
	case http.MethodDelete:
		var err error
		if d, ok := ParseDigest(t.ref); ok {
			err = h.Registry.Catalog.DeleteImage(r.Context(), t.repo, d)
		} else {
			err = h.Registry.Catalog.Untag(r.Context(), t.repo, t.ref)
		}
		if err == nil {
			w.WriteHeader(http.StatusAccepted)
		}
		return err
	}
	return errUnsupported
}

func manifestHeaders(w http.ResponseWriter, img *model.Image) {
	w.Header().Set("Content-Type", img.MediaType)
	w.Header().Set("Content-Length", strconv.FormatInt(img.ManifestSize, 10))
	w.Header().Set("Docker-Content-Digest", img.Digest)
	w.Header().Set("Etag", `"`+img.Digest+`"`)
}

func (h *Handler) putManifest(w http.ResponseWriter, r *http.Request, t target) error {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &apiError{status: http.StatusRequestEntityTooLarge, Code: "MANIFEST_INVALID", Message: "manifest is too large"}
	} else if err != nil {
		return &apiError{status: http.StatusBadRequest, Code: "MANIFEST_INVALID", Message: "manifest could not be read"}
	}
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	push := Push{Repository: t.repo, Content: content, MediaType: strings.TrimSpace(mediaType)}
	if d, ok := ParseDigest(t.ref); ok {
		push.Digest = d
	} else {
		push.Tag = t.ref
	}
	img, err := h.Registry.Put(r.Context(), push)
	if err != nil {
		return err
	}
	if img.Subject != "" {
		w.Header().Set("Oci-Subject", img.Subject)
	}
	w.Header().Set("Docker-Content-Digest", img.Digest)
	w.Header().Set("Location", "/v2/"+t.repo+"/manifests/"+img.Digest)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// tags serves /v2/<repository>/tags/list.
func (h *Handler) tags(w http.ResponseWriter, r *http.Request, t target) error {
	if r.Method != http.MethodGet {
		return errUnsupported
	}
	images, err := h.Registry.Catalog.Images(r.Context(), t.repo)
	if err != nil {
		return err
	}
	tags := []string{}
	for _, img := range images {
		tags = append(tags, img.Tags...)
	}
	page, err := paginate(w, r, tags)
	if err != nil {
		return err
	}
	return writeJSON(w, "application/json; charset=utf-8", map[string]any{"name": t.repo, "tags": page})
}

// catalog serves /v2/_catalog.
func (h *Handler) catalog(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return errUnsupported
	}
	repos, err := h.Registry.Catalog.Repositories(r.Context())
	if err != nil {
		return err
	}
	names := []string{}
	for _, repo := range repos {
		names = append(names, repo.Name)
	}
	page, err := paginate(w, r, names)
	if err != nil {
		return err
	}
	return writeJSON(w, "application/json; charset=utf-8", map[string]any{"repositories": page})
}

// paginate sorts names and returns the page that n and last ask for, with a Link to the next.
func paginate(w http.ResponseWriter, r *http.Request, names []string) ([]string, error) {
	slices.Sort(names)
	q := r.URL.Query()
	if last := q.Get("last"); last != "" {
		i, found := slices.BinarySearch(names, last)
		if found {
			i++
		}
		names = names[i:]
	}
	if !q.Has("n") {
		return names, nil
	}
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n < 0 {
		return nil, &apiError{status: http.StatusBadRequest, Code: "PAGINATION_NUMBER_INVALID", Message: "invalid number of results requested"}
	}
	if n >= len(names) {
		return names, nil
	}
	names = names[:n]
	if n > 0 {
		next := url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}}
		w.Header().Set("Link", "<"+r.URL.Path+"?"+next.Encode()+`>; rel="next"`)
	}
	return names, nil
}

// referrers serves /v2/<repository>/referrers/<digest>: what has that digest as its subject.
func (h *Handler) referrers(w http.ResponseWriter, r *http.Request, t target) error {
	if r.Method != http.MethodGet {
		return errUnsupported
	}
	subject, ok := ParseDigest(t.ref)
	if !ok {
		return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "'" + t.ref + "' is not a sha256 digest"}
	}
	images, err := h.Registry.Catalog.Images(r.Context(), t.repo)
	if err != nil {
		return err
	}
	only := r.URL.Query().Get("artifactType")
	found := []Descriptor{}
	for _, img := range images {
		if img.Subject != subject.String() || only != "" && img.ArtifactType != only {
			continue
		}
		content, err := h.Registry.Blobs.Read(t.repo, Digest(img.Digest), maxManifest)
		if err != nil {
			return err
		}
		m, err := DecodeManifest(img.MediaType, content)
		if err != nil {
			return err
		}
		found = append(found, Descriptor{MediaType: img.MediaType, Digest: Digest(img.Digest), Size: img.ManifestSize,
			ArtifactType: img.ArtifactType, Annotations: m.Annotations})
	}
	slices.SortFunc(found, func(a, b Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	if only != "" {
		w.Header().Set("Oci-Filters-Applied", "artifactType")
	}
	return writeJSON(w, MediaTypeOCIIndex, map[string]any{"schemaVersion": 2, "mediaType": MediaTypeOCIIndex, "manifests": found})
}

func writeJSON(w http.ResponseWriter, contentType string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // the client may be gone
	return nil
}
