// Simulation only: captures a stream, so that Python need not wake on every cycle.
//
//   WIDTH            bits of a beat
//   DEPTH            beats that fit; the largest count_i
//   BEATS_PER_IMAGE  beats of an image
//   OUT_FILE         written on completion: a beat a line in hexadecimal; "" writes none
//   CYCLE_FILE       written on completion: the cycles of the first and the last beat of an image a
//                    line, counted from the start; "" writes none
//   STALL_PERCENT    how often ready falls for a cycle, 0 to 99
//   SEED             of the pauses, not 0
//
// start_i, for one cycle, begins a capture of count_i beats; done_o rises when they have arrived and
// the files are closed. Started in the same cycle as hwflow_source, it counts the cycles from that
// one, which is cycle 0. Between captures the sink is not ready; overrun_o tells that a beat is
// offered nevertheless.

`default_nettype none

module hwflow_sink #(
    parameter int WIDTH           = 16,
    parameter int DEPTH           = 1024,
    parameter int BEATS_PER_IMAGE = 1,
    parameter     OUT_FILE        = "",
    parameter     CYCLE_FILE      = "",
    parameter int STALL_PERCENT   = 0,
    parameter int SEED            = 1
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire              start_i,
    input  wire  [     31:0] count_i,
    output logic             done_o,
    output logic             overrun_o,
    output logic [     31:0] beats_o,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready
);

    localparam int IMAGES = (DEPTH + BEATS_PER_IMAGE - 1) / BEATS_PER_IMAGE;

    if (WIDTH < 1 || DEPTH < 1 || BEATS_PER_IMAGE < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_sink: WIDTH, DEPTH and BEATS_PER_IMAGE must be positive");
    end
    if (STALL_PERCENT < 0 || STALL_PERCENT > 99 || SEED == 0) begin : gen_error_stall
        initial $fatal(1, "hwflow_sink: STALL_PERCENT must be 0 to 99 and SEED not 0");
    end

    logic [WIDTH-1:0] mem [0:DEPTH-1];
    int unsigned first_cycle [0:IMAGES-1];
    int unsigned last_cycle [0:IMAGES-1];

    int unsigned count_reg, image_reg, in_image_reg, cycle_reg;
    int unsigned random_reg;
    logic        running_reg, stall_reg;

    wire take = s_tvalid && s_tready;
    assign s_tready  = running_reg && !stall_reg;
    assign overrun_o = !running_reg && s_tvalid;

    // xorshift32
    function automatic int unsigned next_random(input int unsigned state);
        int unsigned x;
        x = state;
        x = x ^ (x << 13);
        x = x ^ (x >> 17);
        next_random = x ^ (x << 5);
    endfunction

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            random_reg <= SEED;
            stall_reg <= 1'b0;
            running_reg <= 1'b0;
            beats_o <= 0;
            cycle_reg <= 0;
        end else begin
            random_reg <= next_random(random_reg);
            stall_reg <= (random_reg % 100 + 1 <= STALL_PERCENT);
            cycle_reg <= cycle_reg + 1;
            if (start_i) begin
                running_reg <= 1'b1;
                beats_o <= 0;
                image_reg <= 0;
                in_image_reg <= 0;
                cycle_reg <= 1;
                count_reg <= count_i;
            end else if (take) begin
                mem[beats_o] <= s_tdata;
                if (in_image_reg == 0) first_cycle[image_reg] <= cycle_reg;
                last_cycle[image_reg] <= cycle_reg;
                beats_o <= beats_o + 1;
                in_image_reg <= (in_image_reg == BEATS_PER_IMAGE - 1) ? 0 : in_image_reg + 1;
                image_reg <= (in_image_reg == BEATS_PER_IMAGE - 1) ? image_reg + 1 : image_reg;
                running_reg <= (beats_o + 1 != count_reg);
            end
        end
    end

    always @(posedge clk_i) begin
        if (rst_ni && start_i) begin
            if (running_reg) $fatal(1, "hwflow_sink: started while it runs");
            if (count_i < 1 || count_i > DEPTH)
                $fatal(1, "hwflow_sink: count_i (%0d) must be 1 to DEPTH (%0d)", count_i, DEPTH);
        end
    end

    task write_files;
        integer file, line;
        if (OUT_FILE != "") begin
            file = $fopen(OUT_FILE, "w");
            for (line = 0; line < count_reg; line = line + 1) $fdisplay(file, "%h", mem[line]);
            $fclose(file);
        end
        if (CYCLE_FILE != "") begin
            file = $fopen(CYCLE_FILE, "w");
            for (line = 0; line * BEATS_PER_IMAGE < count_reg; line = line + 1)
                $fdisplay(file, "%0d %0d", first_cycle[line], last_cycle[line]);
            $fclose(file);
        end
    endtask

    // One cycle after the last beat, when it is in `mem`.
    logic was_running_reg;
    always @(posedge clk_i) begin
        was_running_reg <= rst_ni && running_reg;
        if (!rst_ni || start_i) done_o <= 1'b0;
        else if (was_running_reg && !running_reg) begin
            write_files;
            done_o <= 1'b1;
        end
    end

endmodule

`default_nettype wire
