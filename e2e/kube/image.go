package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// image OUT.tar NAME:TAG USER BINARY writes a docker-archive of one layer that holds the static BINARY
// as its entrypoint. The cluster's own images (pause, probe) are made so; the product's come from its Dockerfile.
func image() int {
	a := arguments(4, "image OUT.tar NAME:TAG USER BINARY")
	out, name, user, binary := a[0], a[1], a[2], a[3]
	entry := "/" + filepath.Base(binary)

	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	file(w, entry[1:], 0o755, must(os.ReadFile(binary)))
	must(0, w.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir}))
	must(0, w.Close())

	config := must(json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config": map[string]any{"Entrypoint": []string{entry}, "User": user, "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer.Bytes()))}},
	}))
	configName := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest := must(json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}}))

	f := must(os.Create(out))
	archive(f, configName, config, manifest, layer.Bytes())
	must(0, f.Close())
	return 0
}

func archive(f io.Writer, configName string, config, manifest, layer []byte) {
	w := tar.NewWriter(f)
	file(w, "manifest.json", 0o644, manifest)
	file(w, configName, 0o644, config)
	file(w, "layer.tar", 0o644, layer)
	must(0, w.Close())
}

func file(w *tar.Writer, name string, mode int64, content []byte) {
	must(0, w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}))
	must(w.Write(content))
}
