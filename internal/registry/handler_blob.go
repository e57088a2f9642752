package registry

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// blob serves /v2/<repository>/blobs/<digest>.
func (h *Handler) blob(w http.ResponseWriter, r *http.Request, t target) error {
	d, ok := ParseDigest(t.ref)
	if !ok {
		return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "'" + t.ref + "' is not a sha256 digest"}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errUnsupported // ECR deletes layers when no image names them any more
	}
	size, err := h.Registry.Blobs.Touch(t.repo, d)
	if err != nil {
		return err
	}
	w.Header().Set("Docker-Content-Digest", d.String())
	if hostOnly(r.Host) == h.Registry.Scope.RepositoryHost() {
		w.Header().Set("Location", h.Signer.URL(r.Method, t.repo, d))
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	f, err := h.Registry.Blobs.Open(t.repo, d)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", `"`+d.String()+`"`)
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

// startUpload serves POST /v2/<repository>/blobs/uploads/: a new upload, a mount from another repository, or a whole blob at once.
func (h *Handler) startUpload(w http.ResponseWriter, r *http.Request, t target) error {
	if r.Method != http.MethodPost {
		return errUnsupported
	}
	q := r.URL.Query()
	if mount, from := q.Get("mount"), q.Get("from"); mount != "" {
		d, ok := ParseDigest(mount)
		if !ok {
			return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "'" + mount + "' is not a sha256 digest"}
		}
		if IsRepositoryName(from) {
			_, err := h.Registry.Blobs.Mount(from, t.repo, d)
			if err == nil {
				return blobCreated(w, t.repo, d)
			}
			if !errors.Is(err, ErrNoBlob) {
				return err
			}
		}
		// not there: the client uploads it
	}
	var whole Digest
	if q.Has("digest") {
		var ok bool
		if whole, ok = ParseDigest(q.Get("digest")); !ok {
			return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "'" + q.Get("digest") + "' is not a sha256 digest"}
		}
	}
	id, err := h.Registry.Blobs.StartUpload(t.repo)
	if err != nil {
		return err
	}
	if whole == "" {
		return uploadState(w, t.repo, id, 0, http.StatusAccepted)
	}
	_, err = h.Registry.Blobs.AppendUpload(r.Context(), t.repo, id, 0, r.Body)
	if err == nil {
		_, err = h.Registry.Blobs.CommitUpload(t.repo, id, whole)
	}
	if err != nil {
		_ = h.Registry.Blobs.CancelUpload(t.repo, id) // the daily collection takes what stays
		return err
	}
	return blobCreated(w, t.repo, whole)
}

// upload serves /v2/<repository>/blobs/uploads/<id>.
func (h *Handler) upload(w http.ResponseWriter, r *http.Request, t target) error {
	blobs := h.Registry.Blobs
	switch r.Method {
	case http.MethodGet:
		size, err := blobs.UploadSize(t.repo, t.ref)
		if err != nil {
			return err
		}
		return uploadState(w, t.repo, t.ref, size, http.StatusNoContent)
	case http.MethodDelete:
		if err := blobs.CancelUpload(t.repo, t.ref); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodPatch, http.MethodPut:
	default:
		return errUnsupported
	}
	offset, err := chunkOffset(r)
	if err != nil {
		return err
	}
	var final Digest
	if r.Method == http.MethodPut {
		var ok bool
		if final, ok = ParseDigest(r.URL.Query().Get("digest")); !ok {
			return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "digest parameter missing or not a sha256 digest"}
		}
		if r.ContentLength == 0 {
			offset = -1 // nothing is added, so the range does not matter
		}
	}
	size, err := blobs.AppendUpload(r.Context(), t.repo, t.ref, offset, r.Body)
	if errors.Is(err, ErrWrongOffset) {
		uploadHeaders(w, t.repo, t.ref, size)
	}
	if err != nil {
		return err
	}
	if r.Method == http.MethodPatch {
		return uploadState(w, t.repo, t.ref, size, http.StatusAccepted)
	}
	if _, err := blobs.CommitUpload(t.repo, t.ref, final); err != nil {
		return err
	}
	return blobCreated(w, t.repo, final)
}

// chunkOffset returns where a chunk begins (Content-Range: <first>-<last>), or -1 when the client does not say.
func chunkOffset(r *http.Request) (int64, error) {
	v := r.Header.Get("Content-Range")
	if v == "" {
		return -1, nil
	}
	bad := &apiError{status: http.StatusRequestedRangeNotSatisfiable, Code: "BLOB_UPLOAD_INVALID", Message: "Content-Range '" + v + "' is not <first>-<last>"}
	v = strings.TrimPrefix(v, "bytes ")
	v, _, _ = strings.Cut(v, "/")
	a, z, ok := strings.Cut(v, "-")
	if !ok {
		return 0, bad
	}
	first, err := strconv.ParseInt(a, 10, 64)
	if err != nil || first < 0 {
		return 0, bad
	}
	last, err := strconv.ParseInt(z, 10, 64)
	if err != nil || last < first-1 || r.ContentLength >= 0 && last-first+1 != r.ContentLength {
		return 0, bad
	}
	return first, nil
}

func uploadHeaders(w http.ResponseWriter, repo, id string, size int64) {
	w.Header().Set("Location", "/v2/"+repo+"/blobs/uploads/"+id)
	w.Header().Set("Docker-Upload-Uuid", id)
	w.Header().Set("Range", "0-"+strconv.FormatInt(max(size-1, 0), 10))
}

func uploadState(w http.ResponseWriter, repo, id string, size int64, status int) error {
	uploadHeaders(w, repo, id, size)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
	return nil
}

func blobCreated(w http.ResponseWriter, repo string, d Digest) error {
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+d.String())
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}
