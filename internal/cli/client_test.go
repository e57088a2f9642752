package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// endpoint answers like a daemon that serves one region.
func endpoint(t *testing.T, region string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch scope := r.Header.Get("Authorization"); {
		case strings.Contains(string(body), "GetCallerIdentity"):
			fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
				`<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		case !strings.Contains(scope, "/"+region+"/"):
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `<Response><Errors><Error><Code>SignatureDoesNotMatch</Code><Message>Credential should be scoped to a valid region, `+
				`not 'x': this Neargate serves '%s'.</Message></Error></Errors></Response>`, region)
		default:
			fmt.Fprint(w, `<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"/>`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestConnectFindsTheRegion(t *testing.T) {
	url := endpoint(t, "eu-west-1")
	c, err := Connect(t.Context(), Options{Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu-west-1" || c.Account != "123456789012" || c.Key != "test" {
		t.Errorf("%+v", c)
	}
	_, err = Connect(t.Context(), Options{Endpoint: url, Region: "us-east-1"})
	if err == nil || !strings.Contains(err.Error(), "say eu-west-1") {
		t.Errorf("error %v", err)
	}
}

func TestConnectWithoutDaemon(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + ln.Addr().String()
	ln.Close()
	_, err = Connect(t.Context(), Options{Endpoint: url})
	if want := "Neargate is not running at " + url + ": start it with `neargate serve`"; err == nil || !strings.HasPrefix(err.Error(), want) || ExitCode(err) != ExitUnreachable {
		t.Errorf("error %v, code %d", err, ExitCode(err))
	}
	if _, err := Connect(t.Context(), Options{Endpoint: "127.0.0.1:4566"}); ExitCode(err) != ExitUsage {
		t.Errorf("error %v", err)
	}
}
