// Package codegen turns an AWS API model and a list of operations into Go source: types, enums, an API interface and
// the description that package wire mounts.
//
// It takes only the listed operations and the shapes that they reach. It does not know handlers, and what it writes
// does no I/O. Start at [Generate].
package codegen

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Model is an API model as botocore ships it (service-2.json).
type Model struct {
	Metadata   Metadata
	Operations map[string]Operation
	Shapes     map[string]*Shape
}

// Metadata names the service and its protocol.
type Metadata struct {
	APIVersion     string `json:"apiVersion"`
	EndpointPrefix string
	GlobalEndpoint string
	JSONVersion    string `json:"jsonVersion"`
	Protocol       string
	ServiceID      string `json:"serviceId"`
	SigningName    string
	TargetPrefix   string
	XMLNamespace   string `json:"xmlNamespace"`
}

// Operation is one operation of the model.
type Operation struct {
	Input, Output *Ref
	Errors        []Ref
}

// Ref is a use of a shape.
type Ref struct {
	Shape            string
	LocationName     string
	QueryName        string
	ResultWrapper    string
	Flattened        bool
	IdempotencyToken bool
}

// Shape is a type of the model.
type Shape struct {
	Type      string
	Members   map[string]Ref
	Required  []string
	Member    *Ref // of a list
	Key       *Ref // of a map
	Value     *Ref
	Enum      []string
	Min, Max  *float64
	Pattern   string
	Flattened bool
	Document  bool
	Fault     bool
	Error     *struct {
		Code           string
		HTTPStatusCode int `json:"httpStatusCode"`
		SenderFault    bool
	}
}

// LoadModel reads <dir>/<service>/service-2.json.gz.
func LoadModel(dir, service string) (*Model, error) {
	path := filepath.Join(dir, service, "service-2.json.gz")
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open model of %s: %w", service, err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	var m Model
	if err := json.NewDecoder(zr).Decode(&m); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return &m, nil
}
