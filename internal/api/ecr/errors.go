package ecr

import (
	"errors"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/registry"
)

func noRepository(account, name string) error {
	return awsapi.NewError(ecrapi.ErrRepositoryNotFoundException,
		"The repository with name '%s' does not exist in the registry with id '%s'", name, account)
}

func invalid(format string, args ...any) error {
	return awsapi.NewError(ecrapi.ErrInvalidParameterException, format, args...)
}

// codes translates faults of the registry.
var codes = []struct {
	kind fault.Kind
	noun string
	code string
}{
	{kind: fault.NotFound, noun: "repository", code: ecrapi.ErrRepositoryNotFoundException},
	{kind: fault.NotFound, noun: "image", code: ecrapi.ErrImageNotFoundException},
	{kind: fault.NotFound, noun: "layer", code: ecrapi.ErrLayersNotFoundException},
	{kind: fault.NotFound, noun: "referenced image", code: ecrapi.ErrReferencedImagesNotFoundException},
	{kind: fault.Exists, noun: "tag", code: ecrapi.ErrImageTagAlreadyExistsException},
	{kind: fault.Invalid, noun: "digest", code: ecrapi.ErrImageDigestDoesNotMatchException},
	{kind: fault.Invalid, noun: "tag", code: ecrapi.ErrInvalidParameterException},
	{kind: fault.Invalid, noun: "manifest", code: ecrapi.ErrInvalidParameterException},
}

// translate turns an error of the registry into one of ECR.
func translate(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	for _, c := range codes {
		if c.kind == f.Kind && c.noun == f.Noun {
			return &awsapi.Error{Code: c.code, Message: f.Message, Err: f.Err}
		}
	}
	return err
}

// uploadError turns an error of an upload into one of ECR.
func uploadError(id string, err error) error {
	switch {
	case errors.Is(err, registry.ErrNoUpload):
		return awsapi.NewError(ecrapi.ErrUploadNotFoundException, "An upload with ID '%s' does not exist", id)
	case errors.Is(err, registry.ErrWrongDigest):
		return awsapi.NewError(ecrapi.ErrInvalidLayerException, "Layer digest does not match the uploaded content")
	case errors.Is(err, registry.ErrUploadInUse):
		return awsapi.NewError(ecrapi.ErrInvalidLayerPartException, "Another part of this upload is on its way")
	}
	return err
}
