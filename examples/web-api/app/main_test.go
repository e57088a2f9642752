package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	h := handler(place{Task: "t1", AZ: "us-east-1a", Address: "10.0.0.5"})
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, `{"task":"t1","az":"us-east-1a","address":"10.0.0.5"`},
		{"/health", 200, "ok"},
		{"/healthz", 200, "ok"},
		{"/work?ms=1", 200, "worked 1 ms"},
		{"/work?ms=x", 400, "ms has to be a number"},
		{"/work?ms=99999999", 400, "ms has to be a number"},
		{"/other", 404, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
		if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.body) {
			t.Errorf("%s: %d %q", c.path, w.Code, w.Body.String())
		}
	}
}

func TestMetadata(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v4/x/task" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"TaskARN":"arn:aws:ecs:us-east-1:000000000000:task/demo/0123","AvailabilityZone":"us-east-1b",
			"Containers":[{"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.48.9"]}]}]}`))
	}))
	defer server.Close()
	var here place
	if err := readMetadata(context.Background(), server.URL+"/v4/x", &here); err != nil {
		t.Fatal(err)
	}
	if want := (place{Task: "0123", AZ: "us-east-1b", Address: "10.0.48.9"}); here != want {
		t.Errorf("%+v", here)
	}
}
