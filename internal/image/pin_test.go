package image

import "testing"

func TestPin(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for reference, want := range map[string]string{
		"nginx":                 "nginx@" + digest,
		"nginx:1.27":            "nginx@" + digest,
		"localhost:5000/web":    "localhost:5000/web@" + digest,
		"localhost:5000/web:v1": "localhost:5000/web@" + digest,
		"000000000000.dkr.ecr.us-east-1.amazonaws.com/team/latest:latest":             "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/latest@" + digest,
		"web@sha256:0000000000000000000000000000000000000000000000000000000000000000": "web@sha256:0000000000000000000000000000000000000000000000000000000000000000",
		"team/latest":   "team/latest@" + digest,
		"NOT//an image": "NOT//an image",
	} {
		if got := Pin(reference, digest); got != want {
			t.Errorf("%s is %s, want %s", reference, got, want)
		}
		if got := Pin(reference, ""); got != reference {
			t.Errorf("%s without a digest is %s", reference, got)
		}
		if want != reference {
			if r, err := Parse(want); err != nil || !r.IsDigest || r.Identifier != digest {
				t.Errorf("%s: %+v %v", want, r, err)
			}
		}
	}
}
