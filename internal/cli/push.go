package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push puts an image into a repository of the registry and prints the name by which task definitions find it.
type Push struct {
	Client     *Client
	Screen     *Screen // standard output: the image's name alone
	Notes      *Screen // progress
	Image      string  // path of an archive or layout; empty with Binary
	Binary     string  // path of a static executable that becomes an image of its own
	Entrypoint []string
	Env        []string
	Ports      []int
	Repository string // NAME[:TAG]; empty: what the archive or the file's name says
}

// source is an image to push: one of the two is set.
type source struct {
	image v1.Image
	index v1.ImageIndex
	name  string // NAME:TAG that it came with; may be empty
	close func()
}

// Run pushes.
func (p *Push) Run(ctx context.Context) error { return Explain(p.run(ctx), p.Client.Endpoint) }

func (p *Push) run(ctx context.Context) error {
	src, err := p.open()
	if err != nil {
		return err
	}
	defer src.close()
	repository, tag, err := p.target(src)
	if err != nil {
		return err
	}
	uri, err := p.ensureRepository(ctx, repository)
	if err != nil {
		return err
	}
	login, err := p.login(ctx)
	if err != nil {
		return err
	}
	host, err := p.Client.registryHost()
	if err != nil {
		return err
	}
	ref, err := name.NewTag(host+"/"+repository+":"+tag, name.Insecure)
	if err != nil {
		return Usage("%q is not an image name: %v", repository+":"+tag, err)
	}
	if err := p.send(ctx, ref, src, login); err != nil {
		return err
	}
	p.Screen.Printf("%s:%s\n", uri, tag)
	return nil
}

func (p *Push) open() (*source, error) {
	if p.Binary != "" {
		image, err := binaryImage(binarySpec{Path: p.Binary, Entrypoint: p.Entrypoint, Env: p.Env, Ports: p.Ports})
		if err != nil {
			return nil, err
		}
		return &source{image: image, close: func() {}}, nil
	}
	return openImage(p.Image)
}

var repositoryName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$`)

// target returns where to push: what the user said, or what the image came with, or the file's name.
func (p *Push) target(src *source) (repository, tag string, err error) {
	full := p.Repository
	if full == "" {
		full = src.name
	}
	if full == "" {
		base := filepath.Base(p.Image + p.Binary)
		for _, suffix := range []string{".gz", ".tar", ".tgz", ".oci", ".docker"} {
			base = strings.TrimSuffix(base, suffix)
		}
		full = strings.ToLower(base)
	}
	// A registry's host in front is dropped: the image goes to this registry.
	if first, rest, ok := strings.Cut(full, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		full = rest
	}
	full, _, _ = strings.Cut(full, "@")
	repository, tag, _ = strings.Cut(full, ":")
	if tag == "" {
		tag = "latest"
	}
	if !repositoryName.MatchString(repository) || len(repository) < 2 {
		return "", "", Usage("%q cannot name a repository (lower-case letters, digits, and . _ - / between them): say REPO[:TAG]", repository)
	}
	return repository, tag, nil
}

// ensureRepository makes the repository if it is missing and returns its URI.
func (p *Push) ensureRepository(ctx context.Context, repository string) (string, error) {
	found, err := p.Client.ECR.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{repository}})
	if err == nil && len(found.Repositories) > 0 {
		return aws.ToString(found.Repositories[0].RepositoryUri), nil
	}
	if err != nil && apiCode(err) != "RepositoryNotFoundException" {
		return "", err
	}
	made, err := p.Client.ECR.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: &repository})
	if err != nil {
		return "", err
	}
	p.Notes.Printf("Created repository %s\n", repository)
	return aws.ToString(made.Repository.RepositoryUri), nil
}

func (p *Push) login(ctx context.Context) (authn.Authenticator, error) {
	out, err := p.Client.ECR.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return nil, err
	}
	if len(out.AuthorizationData) == 0 {
		return nil, fmt.Errorf("the registry gave no authorization token")
	}
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	user, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok {
		return nil, fmt.Errorf("the registry's authorization token is not user:password in base64")
	}
	return &authn.Basic{Username: user, Password: password}, nil
}

// send pushes and shows how far it is. Layers that the registry has are not sent again.
func (p *Push) send(ctx context.Context, ref name.Tag, src *source, login authn.Authenticator) error {
	updates, written, shown := make(chan v1.Update, 16), make(chan struct{}), make(chan v1.Update, 1)
	go func() {
		var last v1.Update
		for {
			select {
			case u, ok := <-updates:
				if ok && u.Error == nil {
					last = u
					p.Notes.Live([]string{fmt.Sprintf("  %s of %s", bytesText(u.Complete), bytesText(u.Total))})
				}
				if ok {
					continue
				}
			case <-written:
			}
			p.Notes.Live(nil)
			shown <- last
			return
		}
	}()
	options := []remote.Option{
		remote.WithContext(ctx), remote.WithAuth(login), remote.WithProgress(updates), remote.WithUserAgent("neargate"),
		// No proxy of the environment may come between: the registry is on this machine.
		remote.WithTransport(directTransport()),
	}
	var err error
	if src.index != nil {
		err = remote.WriteIndex(ref, src.index, options...)
	} else {
		err = remote.Write(ref, src.image, options...)
	}
	close(written)
	last := <-shown
	if err != nil {
		return fmt.Errorf("push %s: %w", ref.RepositoryStr()+":"+ref.TagStr(), err)
	}
	if last.Total == 0 {
		p.Notes.Printf("%s is there already\n", ref.RepositoryStr()+":"+ref.TagStr())
		return nil
	}
	p.Notes.Printf("Pushed %s (%s)\n", ref.RepositoryStr()+":"+ref.TagStr(), bytesText(last.Total))
	return nil
}

func directTransport() http.RoundTripper {
	t, ok := remote.DefaultTransport.(*http.Transport)
	if !ok {
		return remote.DefaultTransport
	}
	t = t.Clone()
	t.Proxy = nil
	return t
}

// bytesText writes a size as people do.
func bytesText(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/(unit*unit))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(unit*unit*unit))
}

// readable says clearly why a file cannot be used.
func readable(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Usage("cannot read %s: %v", path, err)
	}
	return info, nil
}
