package registry

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/neargate/neargate/internal/fault"
)

// Handler serves the distribution API (/v2/).
type Handler struct {
	Registry *Registry
	Key      Key
	Signer   *LayerSigner
	Log      *slog.Logger
}

// user is the only user name that ECR knows.
const user = "AWS"

// apiError is one error of the distribution API.
type apiError struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

var errUnsupported = &apiError{status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "The operation is unsupported."}

// ServeHTTP authenticates the request and passes it to what its path asks for.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if err := h.authenticate(r); err != nil {
		if err.status == http.StatusUnauthorized {
			w.Header().Set("Www-Authenticate", `Basic realm="`+realm(r)+`",service="ecr.amazonaws.com"`)
		}
		h.fail(w, r, err)
		return
	}
	if err := h.serve(w, r); err != nil {
		h.fail(w, r, err)
	}
}

func (h *Handler) authenticate(r *http.Request) *apiError {
	name, password, ok := r.BasicAuth()
	if !ok {
		return &apiError{status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "no basic auth credentials"}
	}
	_, err := h.Key.Principal(password, h.Registry.Clock.Now())
	switch {
	case errors.Is(err, ErrExpiredPassword):
		return &apiError{status: http.StatusForbidden, Code: "DENIED",
			Message: "Your authorization token has expired. Reauthenticate and try again."}
	case err != nil || name != user:
		return &apiError{status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "Not Authorized"}
	}
	return nil
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	t := parsePath(r.URL.Path)
	switch t.route {
	case routeNone:
		return &apiError{status: http.StatusNotFound, Code: "UNSUPPORTED", Message: "The operation is unsupported."}
	case routeBase:
		return h.base(w, r)
	case routeCatalog:
		return h.catalog(w, r)
	}
	if host := hostOnly(r.Host); strings.Contains(host, ".dkr.ecr.") && host != h.Registry.Scope.RepositoryHost() {
		account, _, _ := strings.Cut(host, ".")
		return &apiError{status: http.StatusNotFound, Code: "NAME_UNKNOWN",
			Message: "The repository with name '" + t.repo + "' does not exist in the registry with id '" + account + "'"}
	}
	if !IsRepositoryName(t.repo) {
		return &apiError{status: http.StatusBadRequest, Code: "NAME_INVALID",
			Message: "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression " +
				"'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''"}
	}
	if _, err := h.Registry.Catalog.Repository(r.Context(), t.repo); err != nil {
		return err
	}
	switch t.route {
	case routeTags:
		return h.tags(w, r, t)
	case routeManifest:
		return h.manifest(w, r, t)
	case routeBlob:
		return h.blob(w, r, t)
	case routeReferrers:
		return h.referrers(w, r, t)
	case routeUploads:
		return h.startUpload(w, r, t)
	default:
		return h.upload(w, r, t)
	}
}

func (h *Handler) base(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errUnsupported
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	return nil
}

// fail answers with an error in the distribution API's form. It is where errors of this path are logged.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asAPIError(err)
	if e.status >= http.StatusInternalServerError {
		h.Log.ErrorContext(r.Context(), "registry request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	body, jerr := json.Marshal(map[string][]*apiError{"errors": {e}})
	if jerr != nil {
		h.Log.ErrorContext(r.Context(), "encode registry error", "error", jerr)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
}

// asAPIError translates faults and upload errors; anything else is an internal error whose cause is not shown.
func asAPIError(err error) *apiError {
	var e *apiError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrNoBlob):
		return &apiError{status: http.StatusNotFound, Code: "BLOB_UNKNOWN", Message: "blob unknown to registry"}
	case errors.Is(err, ErrNoUpload):
		return &apiError{status: http.StatusNotFound, Code: "BLOB_UPLOAD_UNKNOWN", Message: "blob upload unknown to registry"}
	case errors.Is(err, ErrWrongOffset):
		return &apiError{status: http.StatusRequestedRangeNotSatisfiable, Code: "BLOB_UPLOAD_INVALID", Message: err.Error()}
	case errors.Is(err, ErrWrongDigest):
		return &apiError{status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "provided digest did not match uploaded content"}
	case errors.Is(err, ErrUploadInUse):
		return &apiError{status: http.StatusConflict, Code: "BLOB_UPLOAD_INVALID", Message: err.Error()}
	}
	if f, ok := fault.As(err); ok {
		for _, m := range faultCodes {
			if m.kind == f.Kind && m.noun == f.Noun {
				return &apiError{status: m.status, Code: m.code, Message: f.Message}
			}
		}
	}
	return &apiError{status: http.StatusInternalServerError, Code: "UNKNOWN", Message: "unknown error"}
}

var faultCodes = []struct {
	kind   fault.Kind
	noun   string
	status int
	code   string
}{
	{fault.NotFound, "repository", http.StatusNotFound, "NAME_UNKNOWN"},
	{fault.NotFound, "image", http.StatusNotFound, "MANIFEST_UNKNOWN"},
	{fault.NotFound, "layer", http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN"},
	{fault.NotFound, "referenced image", http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN"},
	{fault.InUse, "image", http.StatusConflict, "DENIED"},
	{fault.Exists, "tag", http.StatusBadRequest, "TAG_INVALID"},
	{fault.Invalid, "tag", http.StatusBadRequest, "TAG_INVALID"},
	{fault.Invalid, "digest", http.StatusBadRequest, "DIGEST_INVALID"},
	{fault.Invalid, "manifest", http.StatusBadRequest, "MANIFEST_INVALID"},
}

// realm is what ECR names as the place to authenticate at.
func realm(r *http.Request) string {
	scheme := "https"
	if r.TLS == nil && !strings.Contains(r.Host, ".dkr.ecr.") {
		scheme = "http"
	}
	return scheme + "://" + r.Host + "/"
}
