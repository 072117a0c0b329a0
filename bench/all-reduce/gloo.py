"""The same rounds with gloo, through torch.distributed: sizes and counts as JSON in argv[2], processes in argv[1].
Prints one JSON line a size: {"bytes": ..., "milliseconds": [...]}."""

import json
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def member(rank, size, port, rounds):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=size)
    for row in rounds:
        values = torch.zeros(row["bytes"] // 4)
        milliseconds = []
        for index in range(row["warmUps"] + row["rounds"]):
            dist.barrier()
            start = time.perf_counter()
            dist.all_reduce(values)
            if index >= row["warmUps"]:
                milliseconds.append((time.perf_counter() - start) * 1e3)
        if rank == 0:
            print(json.dumps({"bytes": row["bytes"], "milliseconds": milliseconds}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    processes = int(sys.argv[1])
    mp.spawn(member, (processes, 20000 + os.getpid() % 20000, json.loads(sys.argv[2])), nprocs=processes)
