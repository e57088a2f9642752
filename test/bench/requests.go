package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/neargate/neargate/test/harness"
)

const (
	apiConnections = 8
	apiSeconds     = 2 // of one run
)

// request is a signed call as it goes over the wire.
type request []byte

var signer = v4.NewSigner()

// sign makes a request. It is good for a quarter of an hour, as AWS's are.
func sign(ctx context.Context, listen, service, contentType, target string, body []byte) (request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+listen+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	hash := sha256.Sum256(body)
	if err := signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, r, hex.EncodeToString(hash[:]), service, harness.Region, time.Now()); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = r.Write(&out)
	return out.Bytes(), err
}

// query makes a call of a service that speaks the query protocol.
func query(ctx context.Context, listen, service, version, action string, parameters map[string]string) (request, error) {
	form := url.Values{"Action": {action}, "Version": {version}}
	for k, v := range parameters {
		form.Set(k, v)
	}
	return sign(ctx, listen, service, "application/x-www-form-urlencoded; charset=utf-8", "", []byte(form.Encode()))
}

// jsonCall makes a call of a service that speaks JSON 1.1.
func jsonCall(ctx context.Context, listen, service, target string, input any) (request, error) {
	body, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	return sign(ctx, listen, service, "application/x-amz-json-1.1", target, body)
}

// calls sends requests over as many connections at once, each of which waits for an answer before it sends the next, and
// returns how many were answered per second. next gives a connection its n-th request.
func calls(ctx context.Context, listen string, next func(connection, n int) (request, error)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, apiSeconds*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	counts, errs := make([]int, apiConnections), make([]error, apiConnections)
	began := time.Now()
	for c := range apiConnections {
		wg.Go(func() { counts[c], errs[c] = callUntil(ctx, listen, c, next) })
	}
	wg.Wait()
	took := time.Since(began)
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / took.Seconds(), errors.Join(errs...)
}

func callUntil(ctx context.Context, listen string, connection int, next func(connection, n int) (request, error)) (int, error) {
	conn, err := net.Dial("tcp", listen)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return n, nil
		}
		r, err := next(connection, n)
		if err != nil {
			return n, err
		}
		if _, err := conn.Write(r); err != nil {
			return n, err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return n, err
		}
		if answer.StatusCode != http.StatusOK {
			said, _ := io.ReadAll(answer.Body)
			return n, fmt.Errorf("%s: %s", answer.Status, said)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return n, err
		}
		answer.Body.Close()
	}
}
