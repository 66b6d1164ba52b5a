package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	etcd "go.etcd.io/etcd/api/v3/version"
)

// version of this program and of the library it belongs to.
const version = "0.1.0"

// commit is what the program was built from, "" if it does not know.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// writeVersion says the versions in the lines that etcd --version has, since
// scripts look for them. etcd's is that of the API.
func writeVersion(out io.Writer) error {
	sha := commit()
	if sha == "" {
		sha = "unknown"
	}
	_, err := fmt.Fprintf(out, "watchd Version: %s\netcd Version: %s\nGit SHA: %s\nGo Version: %s\nGo OS/Arch: %s/%s\n",
		version, etcd.Version, sha[:min(len(sha), 9)], runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func newVersion(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "the versions", Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error { return writeVersion(out) },
	}
}

// noArguments refuses arguments of a command that takes none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused("%s takes no argument %q", cmd.Name(), args[0])
	}
	return nil
}
