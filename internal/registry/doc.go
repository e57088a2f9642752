// Package registry is the data path of ECR: the OCI distribution API over repositories in a catalog and blobs on disk.
//
// Blobs are content-addressed files ([Blobs]); which repositories, images and tags exist is metadata behind [Catalog].
// [Handler] serves /v2/ as ECR does: at the registry's own host name a blob is answered with a redirect to the layer
// bucket in S3, whose host [LayerHandler] serves; at any other name (127.0.0.1:4566, where S3's name does not resolve)
// it is served at once. It is not the ECR control API (internal/api/ecr) and it evaluates no policies.
//
// Start at [Handler.ServeHTTP]; paths are parsed in path.go, manifests in manifest.go.
// Why it is our own code: docs/decisions/0004-own-registry.md.
package registry
