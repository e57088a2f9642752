package registry

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
)

func TestLayerDownload(t *testing.T) {
	f := newFixture(t, "web/api")
	d := f.pushBlob("web/api", "0123456789")
	a := f.do("GET", "/v2/web/api/blobs/"+d.String(), "", "Host: "+testScope.RepositoryHost())
	if a.status != http.StatusTemporaryRedirect {
		t.Fatalf("blob at the registry's host: %d %s", a.status, a.body)
	}
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "https" || u.Host != model.LayerBucketHost("us-east-1") || u.Query().Get("X-Amz-Expires") != "3600" || !layerPath.MatchString(u.Path) {
		t.Errorf("redirected to %s", u)
	}
	get := func(target *url.URL, method, ranged string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, target.RequestURI(), nil)
		req.Host = target.Host
		if ranged != "" {
			req.Header.Set("Range", ranged)
		}
		w := httptest.NewRecorder()
		f.layers.ServeHTTP(w, req)
		return w
	}
	if w := get(u, "GET", ""); w.Code != 200 || w.Body.String() != "0123456789" {
		t.Errorf("download: %d %q", w.Code, w.Body)
	}
	if w := get(u, "GET", "bytes=2-4"); w.Code != 206 || w.Body.String() != "234" {
		t.Errorf("range: %d %q", w.Code, w.Body)
	}
	if w := get(u, "HEAD", ""); w.Code != 403 {
		t.Errorf("a URL signed for GET answered HEAD: %d", w.Code)
	}
	other := f.pushBlob("web/api", "other")
	tests := []struct {
		name string
		edit func(u *url.URL, q url.Values)
		want string
	}{
		{"other blob", func(u *url.URL, _ url.Values) { u.Path = f.signer.path("web/api", other) }, "SignatureDoesNotMatch"},
		{"longer life", func(_ *url.URL, q url.Values) { q.Set("X-Amz-Expires", "9999") }, "SignatureDoesNotMatch"},
		{"more in the query", func(_ *url.URL, q url.Values) { q.Set("x", "y") }, "SignatureDoesNotMatch"},
		{"no signature", func(_ *url.URL, q url.Values) { q.Del("X-Amz-Signature") }, "AccessDenied"},
		{"other key", func(_ *url.URL, q url.Values) { q.Set("X-Amz-Credential", "AKIA/x") }, "AuthorizationQueryParametersError"},
		{"no date", func(_ *url.URL, q url.Values) { q.Del("X-Amz-Date") }, "AuthorizationQueryParametersError"},
		{"other path", func(u *url.URL, _ url.Values) { u.Path = "/" }, "AccessDenied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			edited, q := *u, u.Query()
			tt.edit(&edited, q)
			edited.RawQuery = q.Encode()
			if w := get(&edited, "GET", ""); w.Code < 400 || !strings.Contains(w.Body.String(), "<Code>"+tt.want+"</Code>") {
				t.Errorf("%d %s, want %s", w.Code, w.Body, tt.want)
			}
		})
	}
	f.signer.Clock = clock.Fixed(testTime.Add(layerLifetime + time.Second))
	if w := get(u, "GET", ""); w.Code != 403 || !strings.Contains(w.Body.String(), "Request has expired") {
		t.Errorf("an hour later: %d %s", w.Code, w.Body)
	}
}
