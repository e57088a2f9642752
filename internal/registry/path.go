package registry

import (
	"regexp"
	"strings"
)

// route is what a path below /v2/ asks for.
type route int

const (
	routeNone route = iota
	routeBase
	routeCatalog
	routeTags
	routeManifest
	routeBlob
	routeUploads
	routeUpload
	routeReferrers
)

// target is a parsed path: which thing of which repository.
type target struct {
	route route
	repo  string
	ref   string // tag or digest, upload identifier
}

var (
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// IsRepositoryName reports whether name is a repository name as ECR takes it: 2 to 256 characters.
func IsRepositoryName(name string) bool {
	const shortest, longest = 2, 256
	return len(name) >= shortest && len(name) <= longest && repositoryPattern.MatchString(name)
}

// IsTag reports whether s can be a tag.
func IsTag(s string) bool { return tagPattern.MatchString(s) }

// parsePath reads a path of the distribution API. Repository names contain slashes, so the last known word decides where the name ends.
func parsePath(path string) target {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case path == "/v2" || ok && rest == "":
		return target{route: routeBase}
	case !ok:
		return target{}
	case rest == "_catalog":
		return target{route: routeCatalog}
	}
	parts := strings.Split(rest, "/")
	n := len(parts)
	at := func(i int) string { // i counts from the end, 1 is the last
		if i > n {
			return ""
		}
		return parts[n-i]
	}
	make := func(r route, tail int, ref string) target {
		if tail >= n {
			return target{}
		}
		return target{route: r, repo: strings.Join(parts[:n-tail], "/"), ref: ref}
	}
	switch {
	case at(3) == "blobs" && at(2) == "uploads" && at(1) == "":
		return make(routeUploads, 3, "")
	case at(3) == "blobs" && at(2) == "uploads":
		return make(routeUpload, 3, at(1))
	case at(2) == "blobs" && at(1) == "uploads":
		return make(routeUploads, 2, "")
	case at(2) == "blobs":
		return make(routeBlob, 2, at(1))
	case at(2) == "manifests":
		return make(routeManifest, 2, at(1))
	case at(2) == "tags" && at(1) == "list":
		return make(routeTags, 2, "")
	case at(2) == "referrers":
		return make(routeReferrers, 2, at(1))
	}
	return target{}
}
