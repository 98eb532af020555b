// Command registry is the distribution registry with only the parts that the
// stand-in configures: files for storage, and passwords or nothing to get in.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
)

func main() {
	registry.RootCmd.AddCommand(&cobra.Command{
		Use:   "htpasswd USER",
		Short: "the line of USER in a password file, with the password of standard input",
		Args:  cobra.ExactArgs(1),
		RunE:  htpasswd,
	})
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}

func htpasswd(_ *cobra.Command, arguments []string) error {
	password, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(strings.TrimSpace(string(password))), bcrypt.MinCost)
	if err != nil {
		return err
	}
	fmt.Printf("%s:%s\n", arguments[0], hash)
	return nil
}
