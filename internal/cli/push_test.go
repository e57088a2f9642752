package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/base64"
	"encoding/binary"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

type fakeECR struct {
	ECRAPI
	known map[string]bool
}

const registryName = "000000000000.dkr.ecr.us-east-1.amazonaws.com/"

func (f *fakeECR) DescribeRepositories(_ context.Context, in *ecr.DescribeRepositoriesInput, _ ...func(*ecr.Options)) (*ecr.DescribeRepositoriesOutput, error) {
	name := in.RepositoryNames[0]
	if !f.known[name] {
		return nil, apiError("RepositoryNotFoundException", name)
	}
	return &ecr.DescribeRepositoriesOutput{Repositories: []ecrtypes.Repository{{RepositoryUri: aws.String(registryName + name)}}}, nil
}

func (f *fakeECR) CreateRepository(_ context.Context, in *ecr.CreateRepositoryInput, _ ...func(*ecr.Options)) (*ecr.CreateRepositoryOutput, error) {
	f.known[*in.RepositoryName] = true
	return &ecr.CreateRepositoryOutput{Repository: &ecrtypes.Repository{RepositoryUri: aws.String(registryName + *in.RepositoryName)}}, nil
}

func (f *fakeECR) GetAuthorizationToken(context.Context, *ecr.GetAuthorizationTokenInput, ...func(*ecr.Options)) (*ecr.GetAuthorizationTokenOutput, error) {
	return &ecr.GetAuthorizationTokenOutput{AuthorizationData: []ecrtypes.AuthorizationData{
		{AuthorizationToken: aws.String(base64.StdEncoding.EncodeToString([]byte("AWS:secret")))}}}, nil
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	host, _ := url.Parse(server.URL)
	image, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }

	tag, _ := name.NewTag("registry.example.com/team/shop:v7")
	docker := path("docker.tar")
	must(t, tarball.WriteToFile(docker, tag, image))
	plain, err := os.ReadFile(docker)
	must(t, err)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(plain)
	must(t, z.Close())
	must(t, os.WriteFile(path("zipped.tar.gz"), zipped.Bytes(), 0o600))

	oci, err := layout.Write(path("layout"), empty.Index)
	must(t, err)
	must(t, oci.AppendImage(image))
	writeTar(t, path("Archive.oci.tar"), path("layout"))

	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	two, err := layout.Write(path("multi"), empty.Index)
	must(t, err)
	must(t, two.AppendIndex(index))
	must(t, os.WriteFile(path("app"), staticELF(elf.EM_X86_64), 0o755))

	imageDigest, _ := image.Digest()
	indexDigest, _ := index.Digest()
	for _, c := range []struct {
		push Push
		want string // REPO:TAG
		hash *v1.Hash
	}{
		{push: Push{Image: docker}, want: "team/shop:v7", hash: &imageDigest},
		{push: Push{Image: path("zipped.tar.gz"), Repository: "shop"}, want: "shop:latest", hash: &imageDigest},
		{push: Push{Image: path("layout"), Repository: "shop:a"}, want: "shop:a", hash: &imageDigest},
		{push: Push{Image: path("Archive.oci.tar")}, want: "archive:latest", hash: &imageDigest},
		{push: Push{Image: path("multi")}, want: "multi:latest", hash: &indexDigest},
		{push: Push{Binary: path("app"), Repository: "web:v1", Ports: []int{8080}}, want: "web:v1"},
	} {
		p := c.push
		p.Client = &Client{Endpoint: server.URL, ECR: &fakeECR{known: map[string]bool{"shop": true}}}
		var out *bytes.Buffer
		p.Screen, out = buffer()
		p.Notes, _ = buffer()
		if err := p.Run(t.Context()); err != nil {
			t.Errorf("%s%s: %v", p.Image, p.Binary, err)
			continue
		}
		if got := out.String(); got != registryName+c.want+"\n" {
			t.Errorf("%s%s: printed %q", p.Image, p.Binary, got)
		}
		ref, err := name.NewTag(host.Host+"/"+c.want, name.Insecure)
		must(t, err)
		got, err := remote.Head(ref)
		if err != nil || (c.hash != nil && got.Digest != *c.hash) {
			t.Errorf("%s: %v, %v", c.want, got, err)
		}
	}
}

func TestPushRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, data, 0o600))
		return file
	}
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	var other bytes.Buffer
	w := tar.NewWriter(&other)
	must(t, w.WriteHeader(&tar.Header{Name: "file", Mode: 0o600}))
	must(t, w.Close())
	dynamic := staticELF(elf.EM_X86_64)
	binary.LittleEndian.PutUint16(dynamic[56:], 1) // one program header follows: the interpreter
	dynamic = append(dynamic, make([]byte, 56)...)
	binary.LittleEndian.PutUint32(dynamic[64:], uint32(elf.PT_INTERP))
	for _, c := range []struct {
		push Push
		want string
	}{
		{Push{Image: filepath.Join(dir, "none")}, "cannot read"},
		{Push{Image: path("text", []byte("hello"))}, "is not a tar archive"},
		{Push{Image: path("other.tar", other.Bytes())}, "neither an OCI archive"},
		{Push{Image: filepath.Join(dir, "empty")}, "is not an OCI layout"},
		{Push{Binary: path("script", []byte("#!/bin/sh"))}, "is not a Linux executable"},
		{Push{Binary: path("dynamic", dynamic)}, "linked dynamically"},
		{Push{Binary: path("arm", staticELF(elf.EM_ARM))}, "X86_64 and ARM64"},
		{Push{Binary: path("App", staticELF(elf.EM_AARCH64)), Repository: "UPPER"}, "cannot name a repository"},
	} {
		p := c.push
		p.Client = &Client{Endpoint: DefaultEndpoint}
		err := p.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || ExitCode(err) != ExitUsage {
			t.Errorf("%s%s: error %v", p.Image, p.Binary, err)
		}
	}
}

func TestBinaryImageIsTheSameEveryTime(t *testing.T) {
	var digests []string
	for range 2 {
		file := filepath.Join(t.TempDir(), "app")
		must(t, os.WriteFile(file, staticELF(elf.EM_AARCH64), 0o755))
		image, err := binaryImage(binarySpec{Path: file, Env: []string{"A=b"}, Ports: []int{80}})
		must(t, err)
		config, err := image.ConfigFile()
		must(t, err)
		if config.Architecture != "arm64" || config.OS != "linux" || config.Config.Entrypoint[0] != "/app" || len(config.Config.ExposedPorts) != 1 {
			t.Errorf("%+v", config)
		}
		digest, err := image.Digest()
		must(t, err)
		digests = append(digests, digest.String())
	}
	if diff := cmp.Diff(digests[0], digests[1]); diff != "" {
		t.Error(diff)
	}
}

// staticELF returns the smallest file that is an executable of that machine.
func staticELF(machine elf.Machine) []byte {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(b[16:], uint16(elf.ET_EXEC))
	binary.LittleEndian.PutUint16(b[18:], uint16(machine))
	binary.LittleEndian.PutUint32(b[20:], uint32(elf.EV_CURRENT))
	binary.LittleEndian.PutUint64(b[32:], 64) // program headers
	binary.LittleEndian.PutUint16(b[52:], 64)
	binary.LittleEndian.PutUint16(b[54:], 56)
	binary.LittleEndian.PutUint16(b[58:], 64)
	return b
}

// writeTar writes a folder as an archive, with a file that tries to get out of where it is unpacked.
func writeTar(t *testing.T, file, dir string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "../escaped", Mode: 0o600, Typeflag: tar.TypeReg}))
	must(t, w.AddFS(os.DirFS(dir)))
	must(t, w.Close())
	must(t, os.WriteFile(file, b.Bytes(), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
