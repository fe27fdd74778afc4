// Simulation only: streams a file of beats, so that Python need not wake on every cycle.
//
//   WIDTH            bits of a beat
//   DEPTH            beats that fit; the largest count_i
//   DATA_FILE        $readmemh file with a beat a line, read anew at every start
//   BEATS_PER_IMAGE  m_tlast marks every BEATS_PER_IMAGE-th beat
//   STALL_PERCENT    how often the stream pauses for a cycle, 0 to 99
//   SEED             of the pauses, not 0; the same ones in every simulator
//
// start_i, for one cycle while done_o is high, sends the first count_i beats of the file. The start
// being cycle 0, the first beat can be accepted in cycle 2.

`default_nettype none

module hwflow_source #(
    parameter int WIDTH           = 16,
    parameter int DEPTH           = 1024,
    parameter     DATA_FILE       = "",
    parameter int BEATS_PER_IMAGE = 1,
    parameter int STALL_PERCENT   = 0,
    parameter int SEED            = 1
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire              start_i,
    input  wire  [     31:0] count_i,
    output logic             done_o,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    output logic             m_tlast,
    input  wire              m_tready
);

    if (WIDTH < 1 || DEPTH < 1 || BEATS_PER_IMAGE < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_source: WIDTH, DEPTH and BEATS_PER_IMAGE must be positive");
    end
    if (STALL_PERCENT < 0 || STALL_PERCENT > 99 || SEED == 0) begin : gen_error_stall
        initial $fatal(1, "hwflow_source: STALL_PERCENT must be 0 to 99 and SEED not 0");
    end

    logic [WIDTH-1:0] mem [0:DEPTH-1];

    int unsigned index_reg, count_reg, in_image_reg;
    int unsigned random_reg;
    logic        running_reg;

    wire start = start_i && done_o;
    wire stall = (random_reg % 100 + 1 <= STALL_PERCENT);
    assign done_o = !running_reg && !m_tvalid;

    // xorshift32
    function automatic int unsigned next_random(input int unsigned state);
        int unsigned x;
        x = state;
        x = x ^ (x << 13);
        x = x ^ (x >> 17);
        next_random = x ^ (x << 5);
    endfunction

    always @(posedge clk_i) begin
        if (rst_ni && start) begin
            if (count_i < 1 || count_i > DEPTH)
                $fatal(1, "hwflow_source: count_i (%0d) must be 1 to DEPTH (%0d)", count_i, DEPTH);
            $readmemh(DATA_FILE, mem, 0, count_i - 1);
        end
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            random_reg <= SEED;
            running_reg <= 1'b0;
            m_tvalid <= 1'b0;
        end else begin
            random_reg <= next_random(random_reg);
            if (start) begin
                running_reg <= 1'b1;
                index_reg <= 0;
                in_image_reg <= 0;
                count_reg <= count_i;
            end
            if (!m_tvalid || m_tready) begin
                m_tvalid <= running_reg && !stall;
                if (running_reg && !stall) begin
                    m_tdata <= mem[index_reg];
                    m_tlast <= (in_image_reg == BEATS_PER_IMAGE - 1);
                    in_image_reg <= (in_image_reg == BEATS_PER_IMAGE - 1) ? 0 : in_image_reg + 1;
                    index_reg <= index_reg + 1;
                    running_reg <= (index_reg + 1 != count_reg);
                end
            end
        end
    end

endmodule

`default_nettype wire
