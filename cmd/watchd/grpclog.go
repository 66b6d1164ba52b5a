package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"google.golang.org/grpc/grpclog"
)

// logGRPC sends what grpc and the gateway say to log, for the whole process.
// Otherwise it would stand on stderr in a form of its own.
func logGRPC(log *slog.Logger) { grpclog.SetLoggerV2(grpcLog{log}) }

// grpcLog is a [grpclog.LoggerV2].
type grpcLog struct{ log *slog.Logger }

func (g grpcLog) write(level slog.Level, text string) {
	g.log.Log(context.Background(), level, strings.TrimSpace(text), "source", "grpc")
}

// failed writes an error. Those of the gateway that begin like this are clients
// who left or wrote no JSON, which their answer told them.
func (g grpcLog) failed(text string) {
	level := slog.LevelWarn
	if strings.HasPrefix(text, "Failed to ") {
		level = slog.LevelDebug
	}
	g.write(level, text)
}

func (g grpcLog) Info(args ...any)   { g.write(slog.LevelDebug, fmt.Sprint(args...)) }
func (g grpcLog) Infoln(args ...any) { g.write(slog.LevelDebug, fmt.Sprintln(args...)) }
func (g grpcLog) Infof(format string, args ...any) {
	g.write(slog.LevelDebug, fmt.Sprintf(format, args...))
}
func (g grpcLog) Warning(args ...any)   { g.write(slog.LevelDebug, fmt.Sprint(args...)) }
func (g grpcLog) Warningln(args ...any) { g.write(slog.LevelDebug, fmt.Sprintln(args...)) }
func (g grpcLog) Warningf(format string, args ...any) {
	g.write(slog.LevelDebug, fmt.Sprintf(format, args...))
}
func (g grpcLog) Error(args ...any)                 { g.failed(fmt.Sprint(args...)) }
func (g grpcLog) Errorln(args ...any)               { g.failed(fmt.Sprintln(args...)) }
func (g grpcLog) Errorf(format string, args ...any) { g.failed(fmt.Sprintf(format, args...)) }
func (g grpcLog) Fatal(args ...any)                 { g.fatal(fmt.Sprint(args...)) }
func (g grpcLog) Fatalln(args ...any)               { g.fatal(fmt.Sprintln(args...)) }
func (g grpcLog) Fatalf(format string, args ...any) { g.fatal(fmt.Sprintf(format, args...)) }

// fatal ends the process, as grpc wants it.
func (g grpcLog) fatal(text string) {
	g.write(slog.LevelError, text)
	os.Exit(exitFailed)
}

// V says whether grpc's verbose lines are wanted: never.
func (grpcLog) V(int) bool { return false }
