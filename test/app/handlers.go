package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// askTimeout bounds what the application asks of others.
const askTimeout = 10 * time.Second

// newHandler returns the application's paths.
func newHandler(name string) http.Handler {
	var sick atomic.Bool
	hostname, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s on %s\n", name, hostname)
	})
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if sick.Load() {
			http.Error(w, "sick", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "well")
	})
	mux.HandleFunc("/health/off", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("/health/on", func(http.ResponseWriter, *http.Request) { sick.Store(false) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { // ?for=2s; the head at once, the body in pieces
		d, _ := time.ParseDuration(r.URL.Query().Get("for"))
		end := time.Now().Add(d)
		for time.Now().Before(end) {
			fmt.Fprintln(w, "tick")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(min(100*time.Millisecond, max(time.Until(end), time.Millisecond)))
		}
		fmt.Fprintln(w, "done")
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) })
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	answer(mux, "/whoami", func(ctx context.Context, _ *http.Request) (string, error) { return caller(ctx) })
	answer(mux, "/resolve", func(ctx context.Context, r *http.Request) (string, error) {
		found, err := net.DefaultResolver.LookupHost(ctx, r.URL.Query().Get("name"))
		return strings.Join(found, " "), err
	})
	answer(mux, "/metadata", func(ctx context.Context, _ *http.Request) (string, error) {
		return get(ctx, os.Getenv("ECS_CONTAINER_METADATA_URI_V4")+"/task")
	})
	answer(mux, "/credentials", func(ctx context.Context, _ *http.Request) (string, error) {
		return get(ctx, "http://169.254.170.2"+os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
	})
	answer(mux, "/fetch", func(ctx context.Context, r *http.Request) (string, error) { return get(ctx, r.URL.Query().Get("url")) })
	return mux
}

// answer serves what ask finds out, or 502 with the reason.
func answer(mux *http.ServeMux, path string, ask func(context.Context, *http.Request) (string, error)) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
		defer cancel()
		found, err := ask(ctx, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, found)
	})
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// caller asks STS who we are, with the SDK's default credential chain and no option set: what an application does. The
// configuration is loaded anew, so that the credentials are too.
func caller(ctx context.Context) (string, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", err
	}
	out, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Arn), nil
}
